import { createPost } from '../../activities/webhooks/outbound.ts'
import { testDb } from '../support/db.ts'
import { attemptingShop } from './attempting.ts'
import { emptyAnswer, testRawServers } from './raw-server.ts'

/** RFC 9110, section 15.2, defines interim answers. */

const db = testDb()
const listen = testRawServers()
const post = createPost({ allowHttp: true, allowPrivateNetworks: true, timeoutMs: 400 })
afterAll(post.close)

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
const PROCESSING = 'HTTP/1.1 102 Processing\r\n\r\n'
const HINTS = 'HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nretry-after: 99\r\n\r\n'
const UNKNOWN = 'HTTP/1.1 199 Miscellaneous\r\ncontent-length: 5\r\n\r\n'

const interims = [
  ['one 100', CONTINUE],
  ['one 102', PROCESSING],
  ['one 103 with headers of its own', HINTS],
  ['an unknown 1xx with a length', UNKNOWN],
  ['several 1xx', CONTINUE + HINTS + PROCESSING + UNKNOWN + CONTINUE],
] as const
const finals = [
  [200, emptyAnswer('200 OK'), 0],
  [410, emptyAnswer('410 Gone'), 0],
  [503, emptyAnswer('503 Busy', 'retry-after: 7'), 7_000],
] as const

describe.each(interims)('After %s', (_, interim) => {
  test.each(finals)('the final answer %i counts', async (status, final, retryAfterMs) => {
    const server = await listen((socket) => socket.write(interim + final))
    const answer = await post(server.url, '{}', {})
    expect(answer).toMatchObject({ httpStatus: status, retryAfterMs, error: null })
    expect(answer.responseHeaders).not.toHaveProperty('link')
    // The connection is still in step: the second request gets the second answer.
    expect(await post(server.url, '{}', {})).toMatchObject({ httpStatus: status, error: null })
    expect(server).toMatchObject({ connections: 1, bodies: ['{}', '{}'] })
  })
})

test('a final answer counts after an interim answer that arrives byte by byte', async () => {
  const server = await listen(async (socket) => {
    socket.setNoDelay(true)
    for (const byte of CONTINUE + emptyAnswer('200 OK')) {
      socket.write(byte)
      await new Promise(setImmediate)
    }
  })
  expect(await post(server.url, '{}', {})).toMatchObject({ httpStatus: 200, error: null })
})

test.each([
  ['HTTP/1.1 100 Continue', 'connection: close'],
  ['HTTP/1.0 100 Continue', 'x: y'],
])('a final answer counts after %s with the header %s', async (statusLine, header) => {
  const interim = `${statusLine}\r\n${header}\r\n\r\n`
  const server = await listen((socket) => socket.write(interim + emptyAnswer('410 Gone')))
  expect(await post(server.url, '{}', {})).toMatchObject({ httpStatus: 410, error: null })
})

test.each([
  ['without a protocol', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['to a protocol', 'HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'],
  ['after a 100', `${CONTINUE}HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n`],
])('a switch of protocols %s is a failed attempt on a closed connection', async (_, bytes) => {
  const server = await listen((socket) => socket.write(bytes + emptyAnswer('200 OK')))
  const error =
    'The server switched to another protocol (HTTP 101), which the request did not ask for'
  expect(await post(server.url, '{}', {})).toMatchObject({ httpStatus: null, error })
  while (server.closed === 0) await new Promise(setImmediate)
  expect(server.bodies).toHaveLength(1)
})

test('a server that sends interim answers forever is timed out', async () => {
  const server = await listen((socket) => {
    const timer = setInterval(() => socket.write(CONTINUE + HINTS), 5)
    socket.on('close', () => clearInterval(timer))
  })
  const answer = await post(server.url, '{}', {})
  expect(answer).toMatchObject({ httpStatus: null, error: 'Timed out after 0.4 s' })
  while (server.closed === 0) await new Promise(setImmediate)
})

test('a webhook is delivered by one attempt if the endpoint answers 100 and then 200', async () => {
  const server = await listen((socket) => socket.write(CONTINUE + emptyAnswer('200 OK')))
  const shop = await attemptingShop(db, server.url)
  const delivery = await shop.attempt()
  expect(delivery).toMatchObject({ status: 'delivered', attempts: [{ http_status: 200 }] })
  expect(server.bodies).toHaveLength(1)
  await shop.close()
})

test('a webhook endpoint that answers 103 and then 410 is disabled', async () => {
  const server = await listen((socket) => socket.write(HINTS + emptyAnswer('410 Gone')))
  const shop = await attemptingShop(db, server.url)
  expect(await shop.attempt()).toMatchObject({ status: 'failed', attempts: [{ http_status: 410 }] })
  expect(await shop.showEndpoint()).toMatchObject({ status: 'disabled' })
  await shop.close()
})
