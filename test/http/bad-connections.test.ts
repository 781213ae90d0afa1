import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { testApp } from '../support/app.ts'
import { addMerchant, type Merchant, testDb } from '../support/db.ts'
import { rowCounts, upi } from '../support/http.ts'
import { keptLog } from '../support/log.ts'
import { testServer } from '../support/server.ts'
import { until } from '../support/stack.ts'

const db = testDb()
const { log, lines } = keptLog()
const RECEIVING_MS = 1_200
const server = testServer(testApp(db, { log }).app, { log, receivingMs: RECEIVING_MS })
let merchant: Merchant

beforeAll(async () => {
  merchant = await addMerchant(db)
})
beforeEach(() => {
  lines.length = 0
})

const body = JSON.stringify(upi)
const ofLength = `content-length: ${body.length}`
const chunked = 'transfer-encoding: chunked'

/** Connects and sends the head of a payment's request, and `begun` as the start of its body. */
async function begin(header: string, begun: string) {
  const socket = connect(server.port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  const auth = `authorization: Bearer ${merchant.secret}`
  const head = ['POST /api/v1/payments HTTP/1.1', 'host: x', auth, 'content-type: application/json']
  socket.write([...head, header, '', begun].join('\r\n'))
  return socket
}

async function expectNoFaultOfOurs(): Promise<void> {
  const ofRequest = () => lines.filter(({ path }) => path === '/api/v1/payments')
  await until(async () => ofRequest().length > 0, 'the line in the log')
  expect(ofRequest()).toMatchObject([{ level: 30, status: 400 }])
  for (const { err } of lines) expect(err).toBeUndefined()
}

/** Sends these bytes, and reads the answer until the server ends the connection. */
async function exchange(...chunks: string[]) {
  const socket = connect(server.port, '127.0.0.1')
  socket.on('error', () => {})
  for (const chunk of chunks) socket.write(chunk)
  return parse(await text(socket))
}

/** Checks that there is one answer, in the API's shape, and that its Request-Id is in our log. */
function parse(answer: string) {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  const [statusLine = '', ...fields] = head.split('\r\n')
  const headers = new Headers(
    fields.map((field) => field.split(/: (.*)/).slice(0, 2) as [string, string]),
  )
  const { error } = JSON.parse(body)
  expect(headers.get('content-type')).toMatch(/^application\/json/)
  expect(headers.get('content-length')).toBe(`${Buffer.byteLength(body)}`)
  expect(error.request_id).toMatch(/^req_[0-9a-f]{32}$/)
  expect(headers.get('request-id')).toBe(error.request_id)
  expect(lines.map(({ request_id }) => request_id)).toContain(error.request_id)
  return { status: Number(statusLine.split(' ')[1]), code: error.code, param: error.param, headers }
}

const host = 'host: x\r\n'
const close = 'connection: close\r\n'
const get = (path: string, fields = host) => `GET ${path} HTTP/1.1\r\n${fields}${close}\r\n`
const auth = () => `authorization: Bearer ${merchant.secret}\r\n`

type Unreadable = [what: string, bytes: () => string, status: number, code: string]
const invalid = [400, 'invalid_request'] as const

test.each<Unreadable>([
  ['a first line that is not HTTP', () => 'HELO shop.example\r\n\r\n', ...invalid],
  ['a TLS handshake', () => '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n', ...invalid],
  ['the preface of HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ...invalid],
  ['an unknown method', () => get('/health').replace('GET', 'FETCH'), ...invalid],
  ['an unknown version', () => get('/health').replace('1.1', '9.9'), ...invalid],
  ['a header without a colon', () => get('/health', `${host}broken\r\n`), ...invalid],
  ['a header with a NUL', () => get('/health', `${host}x: a\0b\r\n`), ...invalid],
  ['a header name with a space', () => get('/health', `${host}x y: z\r\n`), ...invalid],
  [
    'two lengths that differ',
    () => get('/x', `${host}content-length: 1\r\ncontent-length: 2\r\n`),
    ...invalid,
  ],
  [
    'a length beside chunks',
    () => get('/x', `${host}content-length: 1\r\n${chunked}\r\n`),
    ...invalid,
  ],
  ['no Host', () => get('/health', ''), ...invalid],
  ['a Host that is not a host name', () => get('/health', 'host: a b/c\r\n'), ...invalid],
  ['two Hosts', () => get('/health', `${host}host: y\r\n`), ...invalid],
  ['a port above 65535', () => get('http://x:99999999/health'), ...invalid],
  ['a path with a backslash', () => get('/health\\x'), ...invalid],
  ['an asterisk as the path', () => get('*').replace('GET', 'OPTIONS'), ...invalid],
  ['the method CONNECT', () => get('x:443').replace('GET', 'CONNECT'), 405, 'method_not_allowed'],
  ['the method TRACE', () => get('/health').replace('GET', 'TRACE'), 405, 'method_not_allowed'],
  [
    'headers above 16 KiB',
    () => get('/health', `${host}x: ${'x'.repeat(17_000)}\r\n`),
    431,
    'headers_too_large',
  ],
  ['a path above 16 KiB', () => get(`/${'x'.repeat(17_000)}`), 431, 'headers_too_large'],
  [
    'an Expect that nobody knows',
    () => get('/health', `${host}expect: tea\r\n`),
    417,
    'expectation_failed',
  ],
  ['an upgrade', () => get('/no_such', `${host}upgrade: websocket\r\n`), 404, 'not_found'],
  [
    'a repeated key',
    () => get('/api/v1/payments', `${host}${auth()}idempotency-key: K\r\nIdempotency-Key: K\r\n`),
    ...invalid,
  ],
  [
    'a repeated Authorization',
    () => get('/api/v1/payments', `${host}${auth()}${auth()}`),
    ...invalid,
  ],
])('%s is answered with an error of the API and a Request-Id', async (_, bytes, status, code) => {
  expect(await exchange(bytes())).toMatchObject({ status, code })
})

const whole = () =>
  `POST /api/v1/payments HTTP/1.1\r\n${host}${auth()}content-type: application/json\r\n${ofLength}\r\n\r\n${body}`

test.each([
  ['bytes that are no request', 'xx yy\r\n\r\n', 400],
  ['one byte too many', '}\r\n', 400],
  ['a request with headers above 16 KiB', get('/x', `${host}x: ${'x'.repeat(17_000)}\r\n`), 431],
  ['a CONNECT', get('x:443').replace('GET', 'CONNECT'), 405],
])('a whole request that is followed by %s gets its own answer first', async (_, after, status) => {
  const socket = connect(server.port, '127.0.0.1').on('error', () => {})
  socket.write(whole() + after)
  const answers = (await text(socket)).split(/(?=HTTP\/1\.1 )/)
  expect(answers.map((answer) => Number(answer.split(' ')[1]))).toEqual([201, status])
})

/** A server whose answers wait until the test opens the gate. */
let openGate = () => {}
const slow = testServer({
  fetch: async () => {
    await new Promise<void>((open) => {
      openGate = open
    })
    return new Response('late')
  },
})

test.each([
  ['a CONNECT', get('x:443').replace('GET', 'CONNECT')],
  ['bytes that are no request', 'xx yy\r\n\r\nzz\r\n'],
])(
  'a connection that is reset after %s, before its answer, does not harm the next request',
  async (_, after) => {
    const socket = connect(slow.port, '127.0.0.1').on('error', () => {})
    socket.write(`GET /slow HTTP/1.1\r\n${host}\r\n${after}`)
    await until(async () => slow.underWay() === 1, 'the request')
    socket.write('and more\r\n')
    socket.resetAndDestroy()
    await once(socket, 'close')
    openGate()
    await until(async () => slow.underWay() === 0, 'its end')
    const next = fetch(slow.url)
    await until(async () => slow.underWay() === 1, 'the next request')
    openGate()
    expect(await (await next).text()).toBe('late')
  },
)

test.each([
  ['no Host in HTTP/1.0', 'GET /health HTTP/1.0\r\n\r\n'],
  ['an empty Host', get('/health', 'host:\r\n')],
])('a health probe with %s is answered with 200', async (_, bytes) => {
  const socket = connect(server.port, '127.0.0.1').on('error', () => {})
  socket.write(bytes)
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 .*{"status":"ok"}$/s)
})

test.each(['/health', '/ready', '/openapi.json'])(
  'HEAD %s answers as GET does, without a body',
  async (path) => {
    const [got, head] = [
      await fetch(server.url + path),
      await fetch(server.url + path, { method: 'HEAD' }),
    ]
    expect([head.status, await head.text()]).toEqual([got.status, ''])
    expect(head.headers.get('content-type')).toBe(got.headers.get('content-type'))
  },
)

test.each([
  ['with a length', ofLength, body.slice(0, 10)],
  ['in chunks', chunked, `a\r\n${body.slice(0, 10)}\r\n`],
])(
  'a caller that hangs up in the middle of a body %s is logged as a 400, not as an error',
  async (_, header, begun) => {
    const before = await rowCounts(db)
    const socket = await begin(header, begun)
    await until(async () => server.underWay() === 1, 'the request')
    socket.destroy()
    await expectNoFaultOfOurs()
    expect(await rowCounts(db)).toEqual(before)
  },
)

test('chunks that are framed wrongly are refused with 400', async () => {
  const socket = await begin(chunked, `a\r\n${body.slice(0, 10)}\r\n`)
  await until(async () => server.underWay() === 1, 'the request')
  socket.write('zz\r\n')
  expect(parse(await text(socket))).toMatchObject({ status: 400, code: 'invalid_request' })
  await expectNoFaultOfOurs()
})

test('a body that stalls is answered with 408 soon after the limit for receiving it', async () => {
  const startedAt = Date.now()
  const socket = await begin(ofLength, body.slice(0, 10))
  expect(parse(await text(socket))).toMatchObject({ status: 408, code: 'request_timeout' })
  expect(Date.now() - startedAt).toBeGreaterThan(RECEIVING_MS / 2)
  expect(Date.now() - startedAt).toBeLessThan(RECEIVING_MS * 4)
  await expectNoFaultOfOurs()
})

test('headers that stall are answered with 408', async () => {
  const stalled = exchange('GET /health HTTP/1.1\r\nx-more: ')
  expect(await stalled).toMatchObject({ status: 408, code: 'request_timeout' })
})

test('a path is logged percent-encoded, as received, and cut to 200 characters', async () => {
  const path = '/%0a%7b%22level%22:50%7d%1b[2J%00'
  await fetch(`${server.url}${path}${'%0a'.repeat(200)}?secret=x`)
  const logged = `${path}${'%0a'.repeat(200)}`.slice(0, 200)
  expect(lines).toMatchObject([{ path: logged, status: 404 }])
  expect(lines[0]?.msg).toMatch(/^GET \/%0a%7b\S+ 404 in \d+ ms$/)
})
