import { sql } from 'drizzle-orm'
import { openDb } from '../../db/client.ts'
import { merchants } from '../../db/merchants/schema.ts'
import { testDb } from '../support/db.ts'
import { testShop, upi } from '../support/http.ts'
import { pause } from '../support/stack.ts'

const db = testDb()

/** Ends every other connection to this database, in the middle of whatever it does. */
async function cutConnections(): Promise<void> {
  await db.execute(sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`)
}

function openHere(poolMax = 5) {
  return openDb(db.url, { poolMax, statementTimeoutMs: 5_000 })
}

test('connections that are cut while payments are posted cause 503s only, and the pool recovers', async () => {
  const own = openHere()
  const { call } = await testShop(own)
  let cutting = true
  const cuts = (async () => {
    while (cutting) {
      await cutConnections()
      await pause(50)
    }
  })()
  const answers: Awaited<ReturnType<typeof call>>[] = []
  while (answers.length < 60)
    answers.push(
      ...(await Promise.all([1, 2, 3, 4, 5, 6].map(() => call('POST', '/api/v1/payments', upi)))),
    )
  cutting = false
  await cuts
  const refused = answers.filter(({ status }) => status !== 201)
  expect(refused.map(({ status }) => status)).toEqual(Array(refused.length).fill(503))
  expect(refused.length).toBeGreaterThan(0)

  // The pool is whole again: it serves more at once than it could with a lost connection.
  const after = await Promise.all(
    Array.from({ length: 20 }, () => call('POST', '/api/v1/payments', upi)),
  )
  expect(after.map(({ status }) => status)).toEqual(Array(20).fill(201))
  expect(own.$client.totalCount).toBeLessThanOrEqual(5)
  await own.$client.end()
})

test('a failed transaction throws its first error and leaves no row behind', async () => {
  const own = openHere(1)
  const now = new Date()
  const row = { id: 'mer_1', name: 'Shop', createdAt: now, updatedAt: now }
  const failing = own.transaction(async (tx) => {
    await tx.insert(merchants).values(row)
    throw new Error('the first')
  })
  await expect(failing).rejects.toThrow('the first')
  expect(await own.$count(merchants, sql`id = 'mer_1'`)).toBe(0)

  const cut = own.transaction(async (tx) => {
    await tx.insert(merchants).values(row)
    await cutConnections()
    await pause(50)
    throw new Error('the first again')
  })
  await expect(cut).rejects.toThrow('the first again')
  // This query uses a new connection, because the pool has room for only one.
  expect(await own.$count(merchants, sql`id = 'mer_1'`)).toBe(0)
  await own.$client.end()
})
