import { setTimeout as sleep } from 'node:timers/promises'
import { createPost, type Post } from '../../activities/webhooks/outbound.ts'
import { testDb } from '../support/db.ts'
import { attemptingShop } from './attempting.ts'
import { emptyAnswer, testRawServers } from './raw-server.ts'

const db = testDb()
const listen = testRawServers()
const OK = emptyAnswer('200 OK')
const CLOSED = 'Connection closed before an answer'

let post: Post
beforeEach(() => {
  post = createPost({ allowHttp: true, allowPrivateNetworks: true, timeoutMs: 400 })
})
afterEach(() => post.close())

test('no post is lost to a server that closes each connection soon after an answer', async () => {
  const server = await listen((socket, nth) => {
    socket.write(OK)
    setTimeout(() => socket.destroy(), nth % 3)
  })
  const failed: unknown[] = []
  for (let n = 0; n < 400; n++) {
    const answer = await post(server.url, `{"n":${n}}`, {})
    if (answer.httpStatus !== 200) failed.push(answer)
    if (n % 2) await sleep(n % 3)
  }
  expect(failed).toEqual([])
  expect(new Set(server.bodies).size).toBe(400)
})

test('a post on a stale connection is resent on a new one and marked as reconnected', async () => {
  const server = await listen((socket, nth) => (nth === 1 ? socket.write(OK) : socket.destroy()))
  expect(await post(server.url, '{"n":1}', {})).not.toHaveProperty('reconnected')
  const answer = await post(server.url, '{"n":2}', {})
  expect(answer).toMatchObject({ httpStatus: 200, error: null, reconnected: true })
  expect(server).toMatchObject({ connections: 2, bodies: ['{"n":1}', '{"n":2}', '{"n":2}'] })
})

test('the second try of a post uses no pooled connection, because all may be stale', async () => {
  let waiting: (() => void)[] = []
  const server = await listen((socket, nth) => {
    if (nth > 1) return socket.destroy()
    waiting.push(() => socket.write(OK))
    if (waiting.length < 5 && server.bodies.length < 5) return
    for (const answer of waiting) answer()
    waiting = []
  })
  await Promise.all(Array.from({ length: 5 }, () => post(server.url, '{}', {})))
  expect(server.connections).toBe(5)
  expect(await post(server.url, '{}', {})).toMatchObject({ httpStatus: 200, reconnected: true })
  expect(server).toMatchObject({ connections: 6, bodies: Array(7).fill('{}') })
})

test('a 408 that a server sends to an idle connection is not taken for an answer', async () => {
  const server = await listen((socket, nth) => {
    if (nth === 1) socket.write(OK)
    if (server.connections === 1)
      setImmediate(() => socket.end(emptyAnswer('408 Request Timeout', 'connection: close')))
  })
  await post(server.url, '{"n":1}', {})
  expect(await post(server.url, '{"n":2}', {})).toMatchObject({ httpStatus: 200, error: null })
})

test('a post is never sent a third time', async () => {
  const server = await listen((socket) =>
    server.bodies.length === 1 ? socket.write(OK) : socket.destroy(),
  )
  await post(server.url, '{}', {})
  const answer = await post(server.url, '{}', {})
  expect(answer).toMatchObject({ httpStatus: null, error: CLOSED, reconnected: true })
  expect(server.bodies).toHaveLength(3)
})

test.each([
  ['the first byte of an answer', 'H'],
  ['an interim answer', 'HTTP/1.1 100 Continue\r\n\r\n'],
])('a post is not sent again after %s', async (_, bytes) => {
  const server = await listen((socket, nth) => (nth === 1 ? socket.write(OK) : socket.end(bytes)))
  await post(server.url, '{}', {})
  const answer = await post(server.url, '{}', {})
  expect(answer).toMatchObject({ httpStatus: null, error: expect.stringMatching(/closed/) })
  expect(answer).not.toHaveProperty('reconnected')
  expect(server.bodies).toHaveLength(2)
})

test('a post on a new connection is not sent again', async () => {
  const server = await listen((socket) => socket.destroy())
  const answer = await post(server.url, '{}', {})
  expect(answer).toMatchObject({ httpStatus: null, error: CLOSED })
  expect(answer).not.toHaveProperty('reconnected')
  expect(server.bodies).toHaveLength(1)
})

test('a post that times out on a reused connection is not sent again', async () => {
  const server = await listen((socket, nth) => nth === 1 && socket.write(OK))
  await post(server.url, '{}', {})
  const answer = await post(server.url, '{}', {})
  expect(answer).toMatchObject({ httpStatus: null, error: 'Timed out after 0.4 s' })
  expect(answer).not.toHaveProperty('reconnected')
  expect(server.bodies).toHaveLength(2)
})

test('both tries of a post share one time limit', async () => {
  const server = await listen((socket, nth) => {
    if (server.bodies.length === 1) socket.write(OK)
    else if (nth === 2) setTimeout(() => socket.destroy(), 200)
  })
  await post(server.url, '{}', {})
  const answer = await post(server.url, '{}', {})
  expect(answer).toMatchObject({ error: 'Timed out after 0.4 s', reconnected: true })
  expect(answer.latencyMs).toBeLessThan(550)
})

test('the attempts and the log of the worker show that a webhook was sent again', async () => {
  const server = await listen((socket, nth) => (nth === 1 ? socket.write(OK) : socket.destroy()))
  const shop = await attemptingShop(db, server.url)
  expect((await shop.attempt()).attempts).toMatchObject([{ attempt: 1, reconnected: false }])
  expect(shop.logged).toEqual([])
  const delivery = await shop.attempt()
  const attempts = [{ attempt: 1, http_status: 200, reconnected: true }]
  expect(delivery).toMatchObject({ status: 'delivered', attempts })
  expect(shop.logged).toEqual([
    'Attempt 1: the reused connection was closed, so Remit sent the request again on a new connection',
  ])
  await shop.close()
})
