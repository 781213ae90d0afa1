import { and, eq, isNull, sql } from 'drizzle-orm'
import { AppError } from '../../core/errors.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { idempotencyKeys } from './schema.ts'

export const LIFETIME_MS = 24 * 60 * 60_000
/** Above what the work under a lease can take. A process that is killed keeps its key this long. */
const LEASE_MS = 30_000

/** `fingerprints`: of the request, under each encryption key; the first is the one that is stored. */
export type KeyedRequest = {
  merchantId: string
  method: string
  path: string
  key: string
  fingerprints: string[]
}

export type Answer = { status: number; body: string }

/** What a key stands for: the answer that it got before, or the command that it opened. */
export type Known = { answer: Answer } | { commandId: string }

type StandsFor = Pick<
  typeof idempotencyKeys.$inferInsert,
  'responseStatus' | 'responseBody' | 'commandId' | 'leaseId' | 'leasedUntil'
>

/**
 * Holds the key until the transaction ends, and says what it stands for; null when it is new, or
 * older than 24 hours. Throws AppError when another request with the key is at work, or when it was
 * used for another request. `leaseId`: of the caller's own lease.
 */
export async function lockKey(
  tx: Tx,
  request: KeyedRequest,
  now: Date,
  leaseId: string | null = null,
): Promise<Known | null> {
  const { merchantId, method, path, key } = request
  const lock = sql`hashtextextended(${JSON.stringify([merchantId, method, path, key])}, 0)`
  // Who holds a lease has done its work already, and waits for those who only look at the key.
  const locking = leaseId
    ? sql`select pg_advisory_xact_lock(${lock}) is not null as locked`
    : sql`select pg_try_advisory_xact_lock(${lock}) as locked`
  const { rows } = await tx.execute<{ locked: boolean }>(locking)
  if (!rows[0]?.locked) throw keyInUse()
  const [row] = await tx.select().from(idempotencyKeys).where(sameScope(request))
  if (leaseId) {
    // Whoever was slower than its lease may have been overtaken by the one who leased it next.
    if (row?.leaseId !== leaseId) throw keyInUse()
    return null
  }
  if (!row || row.createdAt.getTime() + LIFETIME_MS <= now.getTime()) return null
  const isLease = row.responseStatus === null && !row.commandId
  if (isLease && row.leasedUntil && row.leasedUntil <= now) return null // abandoned: nothing was done
  if (!request.fingerprints.includes(row.fingerprint)) {
    const message = 'This Idempotency-Key was used with another request body.'
    throw new AppError('idempotency_key_reused', message, { param: 'Idempotency-Key' })
  }
  if (row.responseStatus !== null)
    return { answer: { status: row.responseStatus, body: row.responseBody ?? '' } }
  if (row.commandId) return { commandId: row.commandId }
  throw keyInUse()
}

function keyInUse(): AppError {
  const message = 'Another request with this Idempotency-Key is in progress.'
  return new AppError('idempotency_key_in_use', message, {
    param: 'Idempotency-Key',
    headers: { 'Retry-After': '1' },
  })
}

/** In the transaction of what the key stands for, so that a crash can't separate them. */
export async function storeKey(tx: Tx, request: KeyedRequest, known: Known, now: Date) {
  await writeKey(tx, request, 'answer' in known ? toColumns(known.answer) : known, now)
}

function toColumns({ status, body }: Answer): StandsFor {
  return { responseStatus: status, responseBody: body }
}

/**
 * For work outside of any transaction, which must not be done twice: takes the key for 30 s. Returns
 * the lease's id, or what the key stands for already.
 */
export async function leaseKey(
  db: Db,
  request: KeyedRequest,
  now: Date,
): Promise<Known | { leaseId: string }> {
  return db.transaction(async (tx) => {
    const known = await lockKey(tx, request, now)
    if (known) return known
    const leaseId = newId('lease')
    await writeKey(tx, request, { leaseId, leasedUntil: new Date(now.getTime() + LEASE_MS) }, now)
    return { leaseId }
  })
}

/** The work has come to nothing, and the key is as new. */
export async function releaseKey(db: Db, request: KeyedRequest, leaseId: string): Promise<void> {
  await db
    .delete(idempotencyKeys)
    .where(and(sameScope(request), eq(idempotencyKeys.leaseId, leaseId)))
}

/** The final answer of a command, for its repeats. */
export async function storeCommandAnswer(db: Db, request: KeyedRequest, answer: Answer) {
  await db
    .update(idempotencyKeys)
    .set(toColumns(answer))
    .where(and(sameScope(request), isNull(idempotencyKeys.responseStatus)))
}

async function writeKey(tx: Tx, request: KeyedRequest, standsFor: StandsFor, now: Date) {
  const { fingerprints, ...scope } = request
  const none = { responseStatus: null, responseBody: null, commandId: null }
  const values = {
    ...none,
    leaseId: null,
    leasedUntil: null,
    ...standsFor,
    fingerprint: fingerprints[0] ?? '',
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
