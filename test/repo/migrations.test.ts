import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate } from 'drizzle-orm/node-postgres/migrator'
import { type Db, openDb } from '../../db/client.ts'
import { migrateDb } from '../../db/migrate.ts'
import { orders } from '../../db/payments/schema.ts'
import { takeStranded } from '../../db/recovery/sweep.ts'

const base = process.env.DATABASE_URL
assert(base, 'set by test/global-setup.ts')
const name = `test_${randomUUID().replaceAll('-', '')}`
const url = new URL(`/${name}`, base).href
const admin = openDb(base, { statementTimeoutMs: 20_000 })
const folder = mkdtempSync(join(tmpdir(), 'remit-migrations-'))
let db: Db

beforeAll(async () => {
  await admin.execute(sql.raw(`create database ${name}`))
  db = openDb(url, { statementTimeoutMs: 20_000 })
})
afterAll(async () => {
  await db.$client.end()
  await admin.execute(sql.raw(`drop database ${name} with (force)`))
  await admin.$client.end()
  rmSync(folder, { recursive: true })
})

/** Migrates the database as an old version did, whose last migration was `last`. */
async function migrateUpTo(last: string): Promise<void> {
  cpSync('db/migrations', folder, { recursive: true })
  const path = join(folder, 'meta', '_journal.json')
  const journal = JSON.parse(readFileSync(path, 'utf8'))
  const count = journal.entries.findIndex(({ tag }: { tag: string }) => tag === last) + 1
  expect(count).toBeGreaterThan(0)
  const entries = journal.entries.slice(0, count)
  writeFileSync(path, JSON.stringify({ ...journal, entries }))
  await migrate(drizzle({ client: db.$client }), { migrationsFolder: folder })
}

const made = sql`'2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'`

async function insertOrder(id: string, status: string): Promise<void> {
  await db.execute(sql`
    insert into orders (id, merchant_id, reference, amount, currency, status, created_at, updated_at)
    values (${id}, 'mer_1', ${id}, 50000, 'INR', ${status}, ${made})`)
}

async function insertPayment(id: string, orderId: string | null, status: string): Promise<void> {
  const captured = status === 'succeeded' ? 50_000 : 0
  const failure = status === 'failed' ? 'expired' : null
  await db.execute(sql`
    insert into payments (id, merchant_id, order_id, amount, amount_captured, currency, method,
      capture_method, vpa, status, failure_code, provider, created_at, updated_at)
    values (${id}, 'mer_1', ${orderId}, 50000, ${captured}, 'INR', 'upi', 'automatic', 'a@upi',
      ${status}, ${failure}, 'sandbox', ${made})`)
}

test('orders of a version without sagas get a deadline, and a saga if they are unpaid', async () => {
  await migrateUpTo('0004_transfers')
  await db.execute(sql`insert into merchants (id, name, created_at, updated_at)
    values ('mer_1', 'Shop', ${made})`)
  await insertOrder('ord_open', 'created')
  await insertOrder('ord_tried', 'created')
  await insertOrder('ord_paid', 'paid')
  await insertPayment('pay_other', null, 'succeeded')
  await insertPayment('pay_failed', 'ord_paid', 'failed')
  await insertPayment('pay_paid', 'ord_paid', 'succeeded')
  await insertPayment('pay_tried', 'ord_tried', 'pending')

  const before = Date.now()
  await migrateDb(url)
  const shown = async (id: string) => (await db.select().from(orders).where(eq(orders.id, id)))[0]
  const week = 7 * 24 * 60 * 60_000
  for (const [id, status, paymentId] of [
    ['ord_open', 'created', null],
    ['ord_tried', 'created', null],
    ['ord_paid', 'fulfilled', 'pay_paid'], // shipped long ago, so never refunded
  ] as const) {
    const order = await shown(id)
    const rest = { cancellationReason: null, isCompensating: false }
    expect(order).toMatchObject({ status, paymentId, amount: 50_000, reference: id, ...rest })
    expect(order?.fulfilBy.getTime()).toBeGreaterThanOrEqual(before + week - 1_000)
    expect(order?.fulfilBy.getTime()).toBeLessThanOrEqual(Date.now() + week + 1_000)
  }
  const { orders: due } = await takeStranded(db, new Date(Date.now() + 1_000), 10)
  expect(due.map(({ id }) => id).sort()).toEqual(['ord_open', 'ord_tried'])
})

test('a database that is up to date is left unchanged', async () => {
  const shown = async () => (await db.execute(sql`select * from orders order by id`)).rows
  const before = await shown()
  await migrateDb(url)
  expect(await shown()).toEqual(before)
})
