import { setTimeout as sleep } from 'node:timers/promises'
import { createPost } from '../../activities/webhooks/outbound.ts'
import { createSlots } from '../../activities/webhooks/outbound-slots.ts'
import { emptyAnswer, testRawServers } from './raw-server.ts'

const listen = testRawServers()
const open = { allowHttp: true, allowPrivateNetworks: true }
const OK = emptyAnswer('200 OK')
const times = (count: number, send: () => Promise<unknown>) =>
  Promise.all(Array.from({ length: count }, send))

test('at most 50 connections to one origin are open, and further posts wait', async () => {
  const post = createPost(open)
  const waiting: (() => void)[] = []
  const server = await listen((socket, nth) => {
    if (nth > 1) return socket.write(OK)
    // The first answer comes only when 50 connections are open at the same time.
    waiting.push(() => socket.write(OK))
    if (waiting.length === 50) for (const answer of waiting) answer()
  })
  const answers = await times(170, () => post(server.url, '{}', {}))
  expect(answers).toMatchObject(Array(170).fill({ httpStatus: 200 }))
  expect([server.connections, server.bodies.length]).toEqual([50, 170])
  await post.close()
})

test('a busy origin does not delay posts to another origin', async () => {
  const post = createPost(open)
  let answerAll = () => {}
  const otherIsDone = new Promise<void>((resolve) => {
    answerAll = resolve
  })
  const busy = await listen(async (socket) => {
    await otherIsDone
    socket.write(OK)
  })
  const other = await listen((socket) => socket.write(OK))
  const waiting = times(60, () => post(busy.url, '{}', {}))
  expect(await post(other.url, '{}', {})).toMatchObject({ httpStatus: 200 })
  answerAll()
  expect(await waiting).toMatchObject(Array(60).fill({ httpStatus: 200 }))
  await post.close()
})

test('a post that times out while it waits for a connection is never sent', async () => {
  const post = createPost({ ...open, timeoutMs: 400 })
  let isSilent = true
  const server = await listen((socket) => isSilent || socket.write(OK))
  const answers = await times(60, () => post(server.url, '{}', {}))
  expect(answers).toMatchObject(Array(60).fill({ error: 'Timed out after 0.4 s' }))
  expect(server.bodies.length).toBeGreaterThan(0)
  expect(server.bodies.length).toBeLessThanOrEqual(50)
  isSilent = false
  expect(await post(server.url, '{}', {})).toMatchObject({ httpStatus: 200 })
  await post.close()
})

test('a slot goes to the first waiter whose signal has not aborted', async () => {
  const acquireSlot = createSlots(1)
  const patient = new AbortController().signal
  const impatient = new AbortController()
  const release = await acquireSlot('a', patient)
  const refused = acquireSlot('a', impatient.signal).catch(() => 'aborted')
  const order: number[] = []
  const waiters = [1, 2].map(async (n) => {
    const releaseOwn = await acquireSlot('a', patient)
    order.push(n)
    releaseOwn()
  })
  impatient.abort()
  expect(await refused).toBe('aborted')
  expect(order).toEqual([])
  release()
  await Promise.all(waiters)
  expect(order).toEqual([1, 2])
})

test('an idle connection that the server keeps for one second is closed at once', async () => {
  const post = createPost(open)
  const server = await listen((socket) =>
    socket.write(emptyAnswer('200 OK', 'keep-alive: timeout=1')),
  )
  await post(server.url, '{}', {})
  await post(server.url, '{}', {})
  expect(server.connections).toBe(2)
  await post.close()
})

test('closing waits for the posts under way, and then closes every connection', async () => {
  const post = createPost(open)
  const server = await listen(async (socket) => {
    await sleep(30)
    socket.write(OK)
  })
  const sent = times(60, () => post(server.url, '{}', {}))
  await post.close()
  expect(server.bodies).toHaveLength(60)
  expect(await sent).toMatchObject(Array(60).fill({ httpStatus: 200 }))
  while (server.closed < server.connections) await sleep(5)
})
