import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { and, eq, isNull, lt, or } from 'drizzle-orm'
import { equalsInConstantTime, sha256 } from '../../core/secrets.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { firstRow } from '../rows.ts'
import { insertEvent } from '../webhooks/events.ts'
import { apiKeys, merchants } from './schema.ts'

const MINUTE_MS = 60_000

type MerchantRow = typeof merchants.$inferSelect
export type KeyPair = { key: string; secret: string }

/**
 * Makes a key pair that nobody can guess. Anybody may see the key, but only its owner may see the
 * secret.
 */
export function newKeyPair(): KeyPair {
  const random = () => randomBytes(24).toString('base64url')
  return { key: `key_${random()}`, secret: `secret_${random()}` }
}

export async function insertMerchant(tx: Tx, name: string, keys: KeyPair, now: Date) {
  const merchantId = newId('merchant')
  const { key, secret } = keys
  await tx.insert(merchants).values({ id: merchantId, name, createdAt: now, updatedAt: now })
  await tx
    .insert(apiKeys)
    .values({ id: newId('apiKey'), merchantId, key, secretHash: sha256(secret), createdAt: now })
  return merchantId
}

/** Returns a merchant as the API and the events show it to that merchant. */
export function toAccount(row: MerchantRow) {
  return {
    id: row.id,
    object: 'account' as const,
    name: row.name,
    metadata: row.metadata,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  }
}

export async function getMerchant(db: Db, merchantId: string): Promise<MerchantRow> {
  const rows = await db.select().from(merchants).where(eq(merchants.id, merchantId))
  return firstRow(rows, 'account', merchantId)
}

/**
 * Locks a merchant until the transaction ends. No other transaction can meanwhile decide by what
 * this merchant has, such as the number of active keys.
 */
export async function lockMerchant(tx: Tx, merchantId: string): Promise<MerchantRow> {
  const isIt = eq(merchants.id, merchantId)
  const rows = await tx.select().from(merchants).where(isIt).for('no key update')
  return firstRow(rows, 'account', merchantId)
}

type Change = Partial<Pick<MerchantRow, 'name' | 'metadata'>>

/** Returns the merchant and the emitted event. The event is null if `change` changes nothing. */
export async function updateMerchant(tx: Tx, merchantId: string, change: Change, now: Date) {
  const before = await lockMerchant(tx, merchantId)
  if (isDeepStrictEqual({ ...before, ...change }, before)) return { merchant: before, event: null }
  const rows = await tx
    .update(merchants)
    .set({ ...change, updatedAt: now })
    .where(eq(merchants.id, merchantId))
    .returning()
  const merchant = firstRow(rows, 'account', merchantId)
  const told = { type: 'account.updated' as const, merchantId, object: toAccount(merchant) }
  return { merchant, event: await insertEvent(tx, told, now) }
}

/** The merchant that sent a request. The rate limit counts by `keyId`. */
export type Caller = { merchantId: string; keyId: string }

/**
 * Finds the caller by the secret alone, through its hash. Returns null if the secret is unknown or
 * revoked.
 */
export async function findCallerBySecret(db: Db, secret: string, now: Date) {
  const [row] = await db
    .select()
    .from(apiKeys)
    .where(and(eq(apiKeys.secretHash, sha256(secret)), isNull(apiKeys.revokedAt)))
  return row ? used(db, row, now) : null
}

/**
 * Finds the caller by key and secret. Returns `publishable` if the key is valid and no secret came
 * with it.
 */
export async function findCallerByPair(db: Db, key: string, secret: string | null, now: Date) {
  const [row] = await db
    .select()
    .from(apiKeys)
    .where(and(eq(apiKeys.key, key), isNull(apiKeys.revokedAt)))
  if (!row) return null
  if (secret === null) return 'publishable' as const
  return equalsInConstantTime(row.secretHash, sha256(secret)) ? used(db, row, now) : null
}

async function used(db: Db, row: typeof apiKeys.$inferSelect, now: Date): Promise<Caller> {
  const aMinuteAgo = new Date(now.getTime() - MINUTE_MS)
  if (!row.lastUsedAt || row.lastUsedAt < aMinuteAgo) {
    const stale = or(isNull(apiKeys.lastUsedAt), lt(apiKeys.lastUsedAt, aMinuteAgo))
    await db
      .update(apiKeys)
      .set({ lastUsedAt: now })
      .where(and(eq(apiKeys.id, row.id), stale))
  }
  return { merchantId: row.merchantId, keyId: row.id }
}
