import { and, eq, gt, sql } from 'drizzle-orm'
import { AppError } from '../core/errors.ts'
import type { Db, Tx } from './client.ts'
import { idempotencyKeys } from './schema.ts'

const LIFETIME_MS = 24 * 60 * 60_000

/** `fingerprints`: of the request, under each encryption key; the first is the one that is stored. */
export type KeyedRequest = {
  merchantId: string
  method: string
  path: string
  key: string
  fingerprints: string[]
}

export type Answer = { status: number; body: string }

/**
 * The answer that this key got before, or null. Throws AppError when it was for another request.
 * A key is good for 24 hours.
 */
export async function findAnswer(
  db: Db | Tx,
  request: KeyedRequest,
  now: Date,
): Promise<Answer | null> {
  const fresh = gt(idempotencyKeys.createdAt, new Date(now.getTime() - LIFETIME_MS))
  const [row] = await db
    .select()
    .from(idempotencyKeys)
    .where(and(sameScope(request), fresh))
  if (!row || row.responseStatus === null || row.responseBody === null) return null
  if (!request.fingerprints.includes(row.fingerprint)) {
    const message = 'This Idempotency-Key was used with another request body.'
    throw new AppError('idempotency_key_reused', message, { param: 'Idempotency-Key' })
  }
  return { status: row.responseStatus, body: row.responseBody }
}

/** Held until the transaction ends. Throws AppError when another request with the key is at work. */
export async function lockKey(tx: Tx, request: KeyedRequest): Promise<void> {
  const { merchantId, method, path, key } = request
  const scope = JSON.stringify([merchantId, method, path, key])
  const { rows } = await tx.execute<{ locked: boolean }>(
    sql`select pg_try_advisory_xact_lock(hashtextextended(${scope}, 0)) as locked`,
  )
  if (rows[0]?.locked) return
  const message = 'Another request with this Idempotency-Key is in progress.'
  throw new AppError('idempotency_key_in_use', message, {
    param: 'Idempotency-Key',
    headers: { 'Retry-After': '1' },
  })
}

/** In the transaction of what it answers for, so that a crash can't separate them. */
export async function storeAnswer(tx: Tx, request: KeyedRequest, answer: Answer, now: Date) {
  const { fingerprints, ...scope } = request
  const values = {
    fingerprint: fingerprints[0] ?? '',
    responseStatus: answer.status,
    responseBody: answer.body,
    createdAt: now,
  }
  const { merchantId, method, path, key } = idempotencyKeys
  await tx
    .insert(idempotencyKeys)
    .values({ ...scope, ...values })
    .onConflictDoUpdate({ target: [merchantId, method, path, key], set: values }) // an expired one
}

function sameScope({ merchantId, method, path, key }: KeyedRequest) {
  return and(
    eq(idempotencyKeys.merchantId, merchantId),
    eq(idempotencyKeys.method, method),
    eq(idempotencyKeys.path, path),
    eq(idempotencyKeys.key, key),
  )
}
