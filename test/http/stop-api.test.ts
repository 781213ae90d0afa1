import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { sql } from 'drizzle-orm'
import { payments } from '../../db/payments/schema.ts'
import { idempotencyKeys } from '../../db/requests/schema.ts'
import { events } from '../../db/webhooks/schema.ts'
import { addMerchant, testDb } from '../support/db.ts'
import { appWith, upi } from '../support/http.ts'
import { call, testPrograms } from '../support/programs.ts'
import { until } from '../support/stack.ts'

jest.setTimeout(120_000) // real processes start slowly on a busy machine
const db = testDb()
const { start } = testPrograms(db)
const body = JSON.stringify(upi)
const PATH = '/api/v1/payments'

type Posted = { key: string; begunAt: number; endedAt: number; id: string | null }

test('an API that is stopped under load loses no payment and makes none twice', async () => {
  const { secret } = await addMerchant(db)
  const [first, second] = [await start('api'), await start('api')]
  const posted: Posted[] = []
  const post = async (url: string, key: string) => {
    const begunAt = Date.now()
    const answer = await call(url + PATH, secret, body, key)
    if (answer) expect(answer.status).toBe(201)
    return { key, begunAt, endedAt: Date.now(), id: answer?.body.id ?? null }
  }
  let stopped = false
  const clients = Array.from({ length: 12 }, async (_, client) => {
    for (let n = 0; !stopped; n++) posted.push(await post(first.url, `${client}-${n}`))
  })
  await until(async () => posted.length > 40, 'the load')
  const stoppedAt = Date.now()
  await first.stop()
  stopped = true
  await Promise.all(clients)
  expect(await first.exited).toBe('exit code 0')
  expect(Date.now() - stoppedAt).toBeLessThan(8_000)

  const answered = posted.filter(({ id }) => id)
  const meanwhile = answered.filter((one) => one.begunAt <= stoppedAt && one.endedAt > stoppedAt)
  expect(meanwhile.length).toBeGreaterThan(0)
  expect(posted.length).toBeGreaterThan(answered.length) // the last ones met no server
  // Each request without an answer was done completely or not at all.
  const [made, keys, told] = await Promise.all([payments, idempotencyKeys, events].map(countOf))
  expect([keys, told]).toEqual([made, made])
  expect(made).toBeGreaterThanOrEqual(answered.length)

  for (const { key, id } of posted) {
    const again = await post(second.url, key)
    if (id) expect(again.id).toBe(id)
  }
  expect(await countOf(payments)).toBe(posted.length)
  await second.stop()
})

function countOf(table: typeof payments | typeof idempotencyKeys | typeof events) {
  return db.$count(table)
}

test('an API that is stopped answers running requests and does not wait for idle connections', async () => {
  const { secret } = await addMerchant(db)
  const api = await start('api')
  const silent = await connection(api.url)
  const kept = await connection(api.url)
  kept.write('GET /health HTTP/1.1\r\nHost: remit\r\n\r\n')
  expect(`${await once(kept, 'data')}`).toMatch(/200 OK.*keep-alive/s)

  let unlock = () => {}
  const locked = new Promise<void>((resolve) => {
    unlock = resolve
  })
  const locking = db.transaction(async (tx) => {
    await tx.execute(sql`lock table payments in exclusive mode`)
    await locked
  })
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' }
  const posting = fetch(api.url + PATH, { method: 'POST', headers, body })
  await until(async () => (await waitingForLock()) > 0, 'the POST to wait')

  const stopping = api.stop()
  await Promise.all([once(silent, 'close'), once(kept, 'close')])
  await expect(connection(api.url)).rejects.toThrow('ECONNREFUSED')
  unlock()
  const answer = await posting
  expect([answer.status, answer.headers.get('connection')]).toEqual([201, 'close'])
  await Promise.all([stopping, locking])
  expect(await api.exited).toBe('exit code 0')
})

async function connection(url: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  await once(socket, 'connect')
  expect((socket.address() as AddressInfo).port).toBeGreaterThan(0)
  return socket.resume()
}

async function waitingForLock(): Promise<number> {
  const { rows } = await db.execute<{ count: number }>(sql`
    select count(*)::int as count from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`)
  return rows[0]?.count ?? 0
}

test('a stopping API answers 503 at /ready and 200 at /health', async () => {
  const stopping = new AbortController()
  const app = appWith(db, { stopping: stopping.signal })
  stopping.abort()
  expect((await app.request('/ready')).status).toBe(503)
  expect((await app.request('/health')).status).toBe(200)
})
