import type { Client } from '@temporalio/client'
import { sql } from 'drizzle-orm'
import { createApp } from '../../api/app.ts'
import type { Db } from '../../db/client.ts'
import { settlePayment } from '../../db/payments/steps.ts'
import { type Answer, callAs, testApp, testProviders } from './app.ts'
import { testCipher } from './cipher.ts'
import { addMerchant } from './db.ts'
import { silent } from './log.ts'
import { until } from './stack.ts'

export const upi = { amount: 50_000, currency: 'INR', method: 'upi', vpa: 'asha.rao@upi' }

/** This number passes Luhn, and no list of test cards has it. */
export const cardNumber = '4539148803436467'
export const card = { number: cardNumber, exp_month: 12, exp_year: 2034, cvc: '975' }

/**
 * Finds the card's `cvc` in a text. The same digits in the fraction of a second or inside an id do
 * not count.
 */
export const cvcInText = new RegExp(`(?<![0-9a-z.])${card.cvc}(?![0-9a-z])`, 'i')

export const byCard = { amount: 50_000, currency: 'INR', method: 'card', card }

/** Adds a new merchant. `call` calls the API as this merchant. */
export async function testShop(db: Db, options: Parameters<typeof testApp>[1] = {}) {
  const merchant = await addMerchant(db)
  const { app, started } = testApp(db, options)
  return { merchant, app, started, call: callAs(app, merchant) }
}

/** Creates the API with other settings than the tests' usual ones. */
export function appWith(db: Db, overrides: Partial<Parameters<typeof createApp>[0]>) {
  return createApp({
    log: silent,
    db,
    temporal: {} as Client,
    tryStart: async () => {},
    tryUpdate: async () => {},
    providers: testProviders(db),
    cipher: testCipher,
    outbound: { allowHttp: true, allowPrivateNetworks: true },
    rateLimitPerSecond: 0,
    publicUrl: 'https://pay.example',
    ...overrides,
  })
}

export function succeed(db: Db, paymentId: string, feeBps = 0) {
  const verdict = { status: 'succeeded', failureCode: null } as const
  return settlePayment(db, paymentId, verdict, { feeBps, now: new Date() })
}

export function fail(db: Db, paymentId: string) {
  const verdict = { status: 'failed', failureCode: 'upi_declined' } as const
  return settlePayment(db, paymentId, verdict, { feeBps: 0, now: new Date() })
}

async function tableNames(db: Db): Promise<string[]> {
  const { rows } = await db.execute<{ name: string }>(
    sql`select tablename as name from pg_tables where schemaname = 'public' order by 1`,
  )
  return rows.map(({ name }) => name)
}

/** Returns each table as JSON text. */
export async function tableTexts(db: Db): Promise<Record<string, string>> {
  const texts: Record<string, string> = {}
  for (const name of await tableNames(db)) {
    const { rows } = await db.execute<{ text: string }>(
      sql`select coalesce(json_agg(t order by t::text), '[]')::text as text
        from ${sql.identifier(name)} t`,
    )
    texts[name] = rows[0]?.text ?? ''
  }
  return texts
}

/**
 * Returns everything that a refused request must leave as it was. `api_keys` is left out, because
 * it records when a key was last used.
 */
export async function contents(db: Db): Promise<Record<string, string>> {
  const { api_keys: _, ...texts } = await tableTexts(db)
  return texts
}

/** Returns how many rows each table has. */
export async function rowCounts(db: Db): Promise<Record<string, number>> {
  const counts = (await tableNames(db)).map(
    (name) =>
      sql`select ${name}::text as name, count(*)::int as count from ${sql.identifier(name)}`,
  )
  const { rows } = await db.execute<{ name: string; count: number }>(
    sql.join(counts, sql` union all `),
  )
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]))
}

/**
 * Makes calls that change a merchant. The calls go on only when all of them wait for the merchant's
 * row.
 */
export async function allAtOnce<T>(db: Db, merchantId: string, calls: (() => Promise<T>)[]) {
  const holder = await db.$client.connect()
  try {
    await holder.query('begin')
    await holder.query('select 1 from merchants where id = $1 for update', [merchantId])
    const answers = Promise.all(calls.map((call) => call()))
    await until(async () => (await lockWaiters(db)) === calls.length, 'all calls to wait')
    await holder.query('commit')
    return await answers
  } finally {
    holder.release()
  }
}

/** Returns how many connections wait for a lock that another connection holds. */
export async function lockWaiters(db: Db): Promise<number> {
  const { rows } = await db.execute<{ count: number }>(sql`
    select count(*)::int as count from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`)
  return rows[0]?.count ?? 0
}

export function expectRefusal(answer: Answer, status: number, code: string, param?: string | null) {
  expect({ status: answer.status, code: answer.body.error?.code }).toEqual({ status, code })
  if (param !== undefined) expect(answer.body.error.param).toBe(param)
  expect(answer.body.error.request_id).toMatch(/^req_[0-9a-f]{32}$/)
  expect(answer.body.error.request_id).toBe(answer.headers.get('request-id'))
}
