import { and, eq, isNull, sql } from 'drizzle-orm'
import { AppError } from '../../core/errors.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { idempotencyKeys } from './schema.ts'

export const LIFETIME_MS = 24 * 60 * 60_000
/**
 * The lease is longer than the work under it can take. A key whose process is killed stays leased
 * this long.
 */
const LEASE_MS = 30_000

/**
 * `fingerprints` holds the request's fingerprint under each encryption key. The first fingerprint
 * is stored.
 */
export type KeyedRequest = {
  merchantId: string
  method: string
  path: string
  key: string
  fingerprints: string[]
}

export type Answer = { status: number; body: string }

/** A key stands for its earlier answer, or for the command that it opened. */
export type Known = { answer: Answer } | { commandId: string }

type StandsFor = Pick<
  typeof idempotencyKeys.$inferInsert,
  'responseStatus' | 'responseBody' | 'commandId' | 'leaseId' | 'leasedUntil'
>

/**
 * Locks the key until the transaction ends, and returns what the key stands for. Returns null when
 * the key is new or older than 24 hours. Throws AppError when another request with the key is in
 * progress, or when the key was used for another request. `leaseId` names the caller's own lease.
 */
export async function lockKey(
  tx: Tx,
  request: KeyedRequest,
  now: Date,
  leaseId: string | null = null,
): Promise<Known | null> {
  const { merchantId, method, path, key } = request
  const lock = sql`hashtextextended(${JSON.stringify([merchantId, method, path, key])}, 0)`
  // A lease holder has done its work already, so it waits for requests that only look at the key.
  const locking = leaseId
    ? sql`select pg_advisory_xact_lock(${lock}) is not null as locked`
    : sql`select pg_try_advisory_xact_lock(${lock}) as locked`
  const { rows } = await tx.execute<{ locked: boolean }>(locking)
  if (!rows[0]?.locked) throw keyInUse()
  const [row] = await tx.select().from(idempotencyKeys).where(sameScope(request))
  if (leaseId) {
    // A request that outlasts its lease may have lost the key to the next lease holder.
    if (row?.leaseId !== leaseId) throw keyInUse()
    return null
  }
  if (!row || row.createdAt.getTime() + LIFETIME_MS <= now.getTime()) return null
  const isLease = row.responseStatus === null && !row.commandId
  // An expired lease is abandoned, and nothing was done under the key.
  if (isLease && row.leasedUntil && row.leasedUntil <= now) return null
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

/**
 * Stores what the key stands for, in the transaction that creates the answer or the command. So a
 * crash can't separate them.
 */
export async function storeKey(tx: Tx, request: KeyedRequest, known: Known, now: Date) {
  await writeKey(tx, request, 'answer' in known ? toColumns(known.answer) : known, now)
}

function toColumns({ status, body }: Answer): StandsFor {
  return { responseStatus: status, responseBody: body }
}

/**
 * Leases the key for 30 s, for work outside any transaction that must not be done twice. Returns
 * the id of the lease, or what the key stands for already.
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

/** Deletes the lease after its work has failed, so that the key counts as new. */
export async function releaseKey(db: Db, request: KeyedRequest, leaseId: string): Promise<void> {
  await db
    .delete(idempotencyKeys)
    .where(and(sameScope(request), eq(idempotencyKeys.leaseId, leaseId)))
}

/** Stores the final answer of a command, for repeats of the request. */
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
    // An expired key or a lease is replaced.
    .onConflictDoUpdate({ target: [merchantId, method, path, key], set: values })
}

function sameScope({ merchantId, method, path, key }: KeyedRequest) {
  return and(
    eq(idempotencyKeys.merchantId, merchantId),
    eq(idempotencyKeys.method, method),
    eq(idempotencyKeys.path, path),
    eq(idempotencyKeys.key, key),
  )
}
