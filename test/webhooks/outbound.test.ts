import http, { type RequestListener } from 'node:http'
import https from 'node:https'
import net, { type LookupFunction } from 'node:net'
import {
  createPost,
  type Post,
  type PostOptions,
  parseRetryAfter,
} from '../../activities/webhooks/outbound.ts'
import { SPECIAL_V4, SPECIAL_V6 } from '../support/special-addresses.ts'

/**
 * These hosts reach a loopback server if nothing stops them. The tests resolve every name to
 * 127.0.0.1.
 */
const TRICK_HOSTS = `2130706433 017700000001 0x7f000001 0x7f.1 127.1 127.0.1 0177.0.0.1 0 0.0.0.0
  127.0.0.1 127.0.0.1. 127.0.0.1 ①②⑦.0.0.1 127。0。0。1 %31%32%37.0.0.1 user:pw@127.1
  [::] [::1] [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:7f00:0001] [64:ff9b::127.0.0.1]
  localhost localhost. LOCALHOST shop.example shop.example. ⓢⓗⓞⓟ.example`.split(/\s+/)

const BOTH = { allowHttp: true, allowPrivateNetworks: true }
const PUBLIC_ONLY = { allowHttp: true, allowPrivateNetworks: false }

const PEM_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgn4jHcGakED1Z8Z0h
XWPDXvZZ7zHxMvMshQS0akWMmJGhRANCAATI/uod5CR+W0+k6UzJN8J2AqNFZ3kr
1/IpRIYC6ElAP4BqJLd25vmNVOoUT8PpEhQ8BhQjYKn1CbUImQxt0rFQ
-----END PRIVATE KEY-----`
const PEM_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBljCCATugAwIBAgIUMfH/sHnNhfjbugkKZmlmFicq1wIwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTA1MTQxNFoYDzIxMjYxMDI4
MDUxNDE0WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATI/uod5CR+W0+k6UzJN8J2AqNFZ3kr1/IpRIYC6ElAP4BqJLd25vmN
VOoUT8PpEhQ8BhQjYKn1CbUImQxt0rFQo2kwZzAdBgNVHQ4EFgQUk4WehV0uljPx
ZfiH1hsm3VUBRrgwHwYDVR0jBBgwFoAUk4WehV0uljPxZfiH1hsm3VUBRrgwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SQAwRgIhAKlJaKNaUytgXsKTPsXhqnN1pU1ieA9IK+H7yP92RkYJAiEAzHXf/wIY
PmyrEWcuGRCM8jg92x0ifJqHFGdtXbWdC1E=
-----END CERTIFICATE-----`

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  jest.restoreAllMocks()
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function client(options: PostOptions): Post {
  const post = createPost(options)
  cleanups.push(post.close)
  return post
}

/**
 * Listens on every address of this machine, so that any spelling of a local address would get
 * through.
 */
async function listen(server: net.Server) {
  const seen = { port: 0, connections: 0 }
  const sockets = new Set<net.Socket>()
  server.on('connection', (socket) => {
    seen.connections++
    sockets.add(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, resolve))
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  seen.port = (server.address() as net.AddressInfo).port
  return seen
}

const serve = (handler: RequestListener) => listen(http.createServer(handler))
const raw = (bytes: string) => listen(net.createServer((socket) => socket.end(bytes)))

/** Answers the nth lookup with the nth answer, and every later lookup with the last answer. */
function resolveTo(...answers: string[][]): jest.MockedFunction<LookupFunction> {
  return jest.fn((_name, options, done) => {
    const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? []
    const list = answer.map((address) => ({ address, family: net.isIP(address) }))
    options.all ? done(null, list) : done(null, answer[0] ?? '', net.isIP(answer[0] ?? ''))
  })
}

test('a special address gets no connection over http or https', async () => {
  const server = await serve((_, response) => response.end())
  const post = client(PUBLIC_ONLY)
  for (const host of [...SPECIAL_V4, ...SPECIAL_V6.map((ip) => `[${ip}]`)]) {
    for (const scheme of ['http', 'https']) {
      const answer = await post(`${scheme}://${host}:${server.port}/`, '{}', {})
      expect([host, answer.httpStatus, answer.error]).toEqual([
        host,
        null,
        expect.stringMatching(/^Blocked: \S+ is not a public address$/),
      ])
    }
  }
  expect(server.connections).toBe(0)
})

test.each(TRICK_HOSTS)('http://%s makes no connection', async (host) => {
  const server = await serve((_, response) => response.end())
  const local = resolveTo(['127.0.0.1'])
  const url = `http://${host}:${server.port}/`
  const answer = await client({ ...PUBLIC_ONLY, lookup: local })(url, '{}', {})
  expect(answer).toMatchObject({ httpStatus: null, error: expect.stringMatching(/^Blocked: /) })
  expect(server.connections).toBe(0)
  if (/:/.test(host.replace('user:pw', ''))) return // Not every machine has IPv6.
  expect(await client({ ...BOTH, lookup: local })(url, '{}', {})).toMatchObject({ httpStatus: 200 })
})

test('names from the system resolver are checked too', async () => {
  const server = await serve((_, response) => response.end())
  const answer = await client(PUBLIC_ONLY)(`http://localhost:${server.port}/`, '{}', {})
  expect(answer.error).toBe('Blocked: localhost does not resolve to public addresses only')
  expect(server.connections).toBe(0)
})

test.each([[['8.8.8.8', '127.0.0.1']], [['2606:4700::1', '::1']], [[]]])(
  'a name that resolves to %p gets no connection',
  async (...addresses) => {
    const server = await serve((_, response) => response.end())
    const lookup = resolveTo(addresses.flat())
    const answer = await client({ ...PUBLIC_ONLY, lookup })(
      `http://shop.example:${server.port}/`,
      '{}',
      {},
    )
    expect(answer.error).toBe('Blocked: shop.example does not resolve to public addresses only')
    expect(server.connections).toBe(0)
  },
)

test('a name that turns private after its check is never dialed there', async () => {
  const server = await serve((_, response) => response.end())
  const dialled: (string | undefined)[] = []
  const connect = net.connect as (options: net.NetConnectOpts) => net.Socket
  jest.spyOn(net, 'connect').mockImplementation(((options: net.NetConnectOpts) => {
    // The kernel sends nothing to a public address from a socket that is bound to loopback.
    const socket = connect({ ...options, localAddress: '127.0.0.1' } as net.NetConnectOpts)
    return socket.on('error', (error: Error & { address?: string }) => dialled.push(error.address))
  }) as typeof net.connect)
  const lookup = resolveTo(['8.8.8.8'], ['127.0.0.1'])
  const post = client({ ...PUBLIC_ONLY, lookup, timeoutMs: 2_000 })
  const url = `http://shop.example:${server.port}/`

  expect((await post(url, '{}', {})).error).toMatch(/^Connection failed/)
  expect(lookup).toHaveBeenCalledTimes(1)
  expect((await post(url, '{}', {})).error).toMatch(/^Blocked: /)
  expect(dialled).toEqual(['8.8.8.8'])
  expect(server.connections).toBe(0)
})

test('plain http makes no connection unless it is allowed', async () => {
  const server = await serve((_, response) => response.end())
  const post = client({ allowHttp: false, allowPrivateNetworks: true })
  const answer = await post(`http://127.0.0.1:${server.port}/`, '{}', {})
  expect(answer.error).toBe('Blocked: only https is allowed')
  expect(server.connections).toBe(0)
})

test('an allowed loopback server gets body and headers, and its answer is returned', async () => {
  process.env.http_proxy = 'http://127.0.0.1:9'
  cleanups.push(() => delete process.env.http_proxy)
  let got: unknown
  const server = await serve(async (request, response) => {
    const body = (await request.toArray()).join('')
    const { 'user-agent': agent, 'accept-encoding': encoding } = request.headers
    got = [request.method, request.url, agent, encoding, body]
    response.writeHead(503, { 'retry-after': '7', 'x-a': 'b', 'set-cookie': ['c=1', 'd=2'] })
    response.end('späť\0')
  })
  const post = client(BOTH)
  const answer = await post(`http://127.0.0.1:${server.port}/hook?x=1#y`, '{"é":1}', {
    'user-agent': 'Remit-Webhooks/1',
  })
  expect(got).toEqual(['POST', '/hook?x=1', 'Remit-Webhooks/1', 'identity', '{"é":1}'])
  expect(answer).toEqual({
    httpStatus: 503,
    latencyMs: expect.any(Number),
    retryAfterMs: 7_000,
    responseHeaders: expect.objectContaining({ 'x-a': 'b', 'set-cookie': 'c=1, d=2' }),
    responseBody: 'späť\uFFFD',
    error: null,
  })
})

test.each([301, 307, 308])('a %i redirect is an answer and is not followed', async (status) => {
  const target = await serve((_, response) => response.end())
  const server = await serve((_, response) => {
    response.writeHead(status, { location: `http://127.0.0.1:${target.port}/` }).end()
  })
  const answer = await client(BOTH)(`http://127.0.0.1:${server.port}/`, '{}', {})
  expect(answer).toMatchObject({ httpStatus: status, responseBody: '', error: null })
  expect(target.connections).toBe(0)
})

test('an endless body is cut at 4 KiB, without half a character', async () => {
  let closed = false
  const server = await serve((_, response) => {
    response.on('close', () => {
      closed = true
    })
    const flood = () => {
      while (!closed && response.write(`a${'é'.repeat(5_000)}`));
    }
    response.on('drain', flood)
    flood()
  })
  const answer = await client(BOTH)(`http://127.0.0.1:${server.port}/`, '{}', {})
  expect(answer).toMatchObject({ httpStatus: 200, responseBody: `a${'é'.repeat(2_047)}` })
  expect(answer.latencyMs).toBeLessThan(5_000)
  while (!closed) await new Promise((resolve) => setTimeout(resolve, 10))
})

test('a server that drips its body cannot hold the post, and its status still counts', async () => {
  const server = await serve((_, response) => {
    const timer = setInterval(() => response.write('x'), 20)
    response.on('close', () => clearInterval(timer))
  })
  const post = client({ ...BOTH, timeoutMs: 300 })
  const answer = await post(`http://127.0.0.1:${server.port}/`, '{}', {})
  expect(answer).toMatchObject({ httpStatus: 200, error: null })
  expect(answer.responseBody).toMatch(/^x+$/)
  expect(answer.latencyMs).toBeGreaterThanOrEqual(250)
  expect(answer.latencyMs).toBeLessThan(2_000)
})

test('a server that drips its headers is timed out', async () => {
  const server = await listen(
    net.createServer((socket) => {
      socket.on('error', () => {}).write('HTTP/1.1 200 OK\r\nx: ')
      const timer = setInterval(() => socket.write('x'), 20)
      socket.on('close', () => clearInterval(timer))
    }),
  )
  const post = client({ ...BOTH, timeoutMs: 300 })
  const answer = await post(`http://127.0.0.1:${server.port}/`, '{}', {})
  expect(answer).toMatchObject({ httpStatus: null, error: 'Timed out after 0.3 s' })
  expect(answer.latencyMs).toBeLessThan(2_000)
})

test('a lookup or a TLS handshake that never ends is timed out', async () => {
  const silent = await listen(net.createServer())
  const post = client({ ...BOTH, timeoutMs: 300, lookup: () => {} })
  for (const host of ['shop.example', '127.0.0.1']) {
    const answer = await post(`https://${host}:${silent.port}/`, '{}', {})
    expect(answer).toMatchObject({ httpStatus: null, error: 'Timed out after 0.3 s' })
    expect(answer.latencyMs).toBeLessThan(2_000)
  }
})

test('a body that breaks off does not change the status', async () => {
  const server = await raw('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf')
  const answer = await client(BOTH)(`http://127.0.0.1:${server.port}/`, '{}', {})
  expect(answer).toMatchObject({ httpStatus: 200, responseBody: 'half', error: null })
})

test('hostile response headers are capped', async () => {
  const names = ['__proto__', 'constructor', ...Array.from({ length: 70 }, (_, n) => `x-${n}`)]
  const many = await raw(`HTTP/1.1 200 OK\r\n${names.map((n) => `${n}: v\r\n`).join('')}\r\n`)
  const big = await raw(
    `HTTP/1.1 200 OK\r\na: ${'é'.repeat(3_000)}\r\nb: ${'x'.repeat(4_000)}\r\n\r\n`,
  )
  const huge = await raw(`HTTP/1.1 200 OK\r\na: ${'x'.repeat(20_000)}\r\n\r\n`)
  const post = client(BOTH)
  const to = (server: { port: number }) => post(`http://127.0.0.1:${server.port}/`, '{}', {})
  expect(Object.keys((await to(many)).responseHeaders ?? {})).toEqual(names.slice(0, 50))
  expect(JSON.stringify((await to(big)).responseHeaders).length).toBeLessThan(8_192)
  expect((await to(huge)).error).toBe('The response headers are too large')
})

test('the error of a post says in one line why no answer came', async () => {
  const closed = await listen(net.createServer((socket) => socket.destroy()))
  const nonsense = await raw('220 mail.example ESMTP\r\n')
  const selfSigned = await listen(https.createServer({ key: PEM_KEY, cert: PEM_CERTIFICATE }))
  const free = await listen(net.createServer())
  await cleanups.pop()?.()
  const notFound = Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })
  const post = client({ ...BOTH, lookup: (_name, _options, done) => done(notFound, []) })
  const error = async (url: string) => (await post(url, '{}', {})).error
  expect(await error(`http://127.0.0.1:${free.port}/`)).toBe('Connection refused')
  expect(await error('https://shop.example/')).toBe('Name not found: shop.example')
  expect(await error(`http://127.0.0.1:${closed.port}/`)).toBe('Connection closed before an answer')
  expect(await error(`http://127.0.0.1:${nonsense.port}/`)).toBe('The response is not valid HTTP')
  expect(await error(`https://127.0.0.1:${nonsense.port}/`)).toBe('TLS handshake failed')
  const certificate = await error(`https://127.0.0.1:${selfSigned.port}/`)
  expect(certificate).toBe('TLS certificate: self-signed certificate')
  expect(await error('ftp://shop.example/')).toMatch(/^Invalid URL protocol/)
  expect(await error('nonsense')).toBe('Invalid URL')
})

const now = Date.parse('2026-01-01T00:00:00Z')
test.each([
  ['90', 90_000],
  ['Thu, 01 Jan 2026 00:02:00 GMT', 120_000],
  ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
  ['-5', 0],
  ['1.5', 0],
  ['soon', 0],
  ['soon 2099', 0],
  ['Infinity', 0],
  ['9'.repeat(400), Number.MAX_SAFE_INTEGER],
  [null, 0],
])('Retry-After %p is %i ms', (header, ms) => expect(parseRetryAfter(header, now)).toBe(ms))
