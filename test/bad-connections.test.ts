import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { listen } from '../api/server.ts'
import { testApp } from './app.ts'
import { addMerchant, type Merchant, testDb } from './db.ts'
import { rowCounts, upi } from './http.ts'
import { keptLog } from './log.ts'
import { until } from './stack.ts'

const db = testDb()
const { log, lines } = keptLog()
const RECEIVING_MS = 1_200
let server: ReturnType<typeof listen>
let port = 0
let merchant: Merchant

beforeAll(async () => {
  merchant = await addMerchant(db)
  const address = { hostname: '127.0.0.1', port: 0, stopping: new AbortController().signal }
  port = await new Promise((onListening) => {
    const { fetch } = testApp(db, { log }).app
    server = listen(fetch, { ...address, onListening, receivingMs: RECEIVING_MS })
  })
})
afterAll(() => server.stop())
beforeEach(() => {
  lines.length = 0
})

const body = JSON.stringify(upi)
const ofLength = `content-length: ${body.length}`
const chunked = 'transfer-encoding: chunked'

/** A connection on which so much of a payment's request was sent. */
async function begin(header: string, begun: string) {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  const auth = `authorization: Bearer ${merchant.secret}`
  const head = ['POST /api/v1/payments HTTP/1.1', 'host: x', auth, 'content-type: application/json']
  socket.write([...head, header, '', begun].join('\r\n'))
  return socket
}

async function expectItsOwnFault(): Promise<void> {
  await until(async () => lines.length > 0, 'the line in the log')
  expect(lines).toMatchObject([{ level: 30, status: 400, path: '/api/v1/payments' }])
  expect(lines[0]?.err).toBeUndefined()
}

test.each([
  ['with a length', ofLength, body.slice(0, 10)],
  ['in chunks', chunked, `a\r\n${body.slice(0, 10)}\r\n`],
])('who hangs up in the middle of a body %s is no failure of ours', async (_, header, begun) => {
  const before = await rowCounts(db)
  const socket = await begin(header, begun)
  await until(async () => server.underWay() === 1, 'the request')
  socket.destroy()
  await expectItsOwnFault()
  expect(await rowCounts(db)).toEqual(before)
})

test('nor is who frames its chunks wrongly', async () => {
  const socket = await begin(chunked, `a\r\n${body.slice(0, 10)}\r\n`)
  await until(async () => server.underWay() === 1, 'the request')
  socket.write('zz\r\n')
  expect(await text(socket)).toContain('HTTP/1.1 400')
  await expectItsOwnFault()
})

test('a body that stalls is not waited for without end', async () => {
  const startedAt = Date.now()
  const socket = await begin(ofLength, body.slice(0, 10))
  expect(await text(socket)).toContain('HTTP/1.1 408')
  expect(Date.now() - startedAt).toBeGreaterThan(RECEIVING_MS / 2)
  expect(Date.now() - startedAt).toBeLessThan(RECEIVING_MS * 4)
  await expectItsOwnFault()
})

test('nor is a head that does', async () => {
  const socket = connect(port, '127.0.0.1')
  socket.write('GET /health HTTP/1.1\r\nx-more: ')
  expect(await text(socket)).toContain('HTTP/1.1 408')
})

test('a path is logged encoded, as it came, and not at any length', async () => {
  const path = '/%0a%7b%22level%22:50%7d%1b[2J%00'
  await fetch(`http://127.0.0.1:${port}${path}${'%0a'.repeat(200)}?secret=x`)
  const logged = `${path}${'%0a'.repeat(200)}`.slice(0, 200)
  expect(lines).toMatchObject([{ path: logged, status: 404 }])
  expect(lines[0]?.msg).toMatch(/^GET \/%0a%7b\S+ 404 in \d+ ms$/)
})
