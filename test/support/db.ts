import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { and, eq, sql } from 'drizzle-orm'
import type { MerchantAccount } from '../../core/money/ledger.ts'
import { type Db, openDb, type Tx } from '../../db/client.ts'
import { ledgerAccounts } from '../../db/ledger/schema.ts'
import { insertMerchant, newKeyPair } from '../../db/merchants/merchants.ts'
import { migrateDb } from '../../db/migrate.ts'

const base = process.env.DATABASE_URL
assert(base, 'set by test/support/global-setup.ts')

/**
 * This limit is not the one of Remit's processes, so that a test can tell a statement that hangs.
 */
const statementTimeoutMs = 20_000
/**
 * This limit is longer than the default: on a busy machine fifty requests in a row for one lock
 * take their time.
 */
const connectTimeoutMs = 30_000

/** Creates a migrated database. Each test file has its own database, so files run in parallel. */
export function testDb() {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  const admin = openDb(base as string, { statementTimeoutMs })
  const url = new URL(`/${name}`, base).href
  const db = openDb(url, { statementTimeoutMs, connectTimeoutMs })

  beforeAll(async () => {
    await admin.execute(sql.raw(`create database ${name}`))
    await migrateDb(url)
  })
  afterAll(async () => {
    db.$client.removeAllListeners('error').on('error', () => {}) // the forced drop below
    await db.$client.end()
    await admin.execute(sql.raw(`drop database ${name} with (force)`))
    await admin.$client.end()
  })
  return Object.assign(db, { url })
}

export type Merchant = { id: string; key: string; secret: string }

export async function addMerchant(db: Db, name = 'Test Shop'): Promise<Merchant> {
  const keys = newKeyPair()
  const id = await db.transaction((tx) => insertMerchant(tx, name, keys, new Date()))
  return { id, ...keys }
}

/** Returns a merchant's balance on one account, in minor units. */
export async function balanceOf(
  db: Db | Tx,
  merchantId: string,
  account: MerchantAccount,
  currency: string,
): Promise<number> {
  const [row] = await db
    .select({ balance: ledgerAccounts.balance })
    .from(ledgerAccounts)
    .where(
      and(
        eq(ledgerAccounts.merchantId, merchantId),
        eq(ledgerAccounts.account, account),
        eq(ledgerAccounts.currency, currency),
      ),
    )
  return row?.balance ?? 0
}
