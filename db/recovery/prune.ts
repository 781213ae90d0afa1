import { inArray, type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type { Db, Tx } from '../client.ts'
import { LIFETIME_MS } from '../requests/idempotency.ts'
import { idempotencyKeys } from '../requests/schema.ts'
import { attempts, deliveries, events } from '../webhooks/schema.ts'

/**
 * Drops expired idempotency keys, oldest first, and returns how many were dropped. A key that a
 * request is reusing at this moment is locked, so this query skips it. A key that a request has
 * just reused is checked again when this query locks it, and is no longer old.
 */
export async function dropKeys(db: Db, now: Date, limit: number): Promise<number> {
  const before = new Date(now.getTime() - LIFETIME_MS).toISOString()
  const { rowCount } = await db.execute(sql`
    with expired as (
      select merchant_id, method, path, key from ${idempotencyKeys}
      where created_at < ${before} order by created_at limit ${limit} for update skip locked
    )
    delete from ${idempotencyKeys} old using expired
    where (old.merchant_id, old.method, old.path, old.key)
      = (expired.merchant_id, expired.method, expired.path, expired.key)`)
  return rowCount ?? 0
}

/**
 * The position at which a batch of events ended. `createdAt` is Postgres's own text, because a Date
 * would round the time.
 */
export type EventCursor = { createdAt: string; id: string }
export const oldestEvent: EventCursor = { createdAt: '-infinity', id: '' }

type EventPage = { before: Date; after: EventCursor; limit: number }
export type DroppedEvents = { events: number; deliveries: number; attempts: number }

/**
 * Looks at the next events that are older than `before`. Drops the events with no activity since
 * `before`, with their deliveries and attempts. `next` is null when no more events are left to look
 * at. If an operator's Reset of a delivery comes in between, a foreign key makes the whole
 * transaction fail. The next try keeps the event of that delivery.
 */
export function dropEvents(
  db: Db,
  page: EventPage,
): Promise<DroppedEvents & { next: EventCursor | null }> {
  return db.transaction(async (tx) => {
    const { ids, next } = await lockEvents(tx, page)
    const kept = await findInUse(tx, ids, page.before)
    const old = ids.filter((id) => !kept.has(id))
    if (old.length === 0) return { events: 0, deliveries: 0, attempts: 0, next }
    // Attempts are deleted before their deliveries, because every transaction locks them in this
    // order. One statement deletes all deliveries, because deliveries can refer to one another.
    const ofOld = isAnyOf(deliveries.eventId, old)
    const sent = tx.select({ id: deliveries.id }).from(deliveries).where(ofOld)
    const made = await tx.delete(attempts).where(inArray(attempts.deliveryId, sent))
    const gone = await tx.delete(deliveries).where(ofOld)
    await tx.delete(events).where(isAnyOf(events.id, old))
    return {
      events: old.length,
      deliveries: gone.rowCount ?? 0,
      attempts: made.rowCount ?? 0,
      next,
    }
  })
}

/**
 * Locks one page of old events. An event that is about to get another delivery is locked already,
 * so this query skips it. The events that this query locks cannot get another delivery now.
 */
async function lockEvents(tx: Tx, { before, after, limit }: EventPage) {
  const { rows } = await tx.execute<{ id: string; at: string }>(sql`
    select id, created_at::text as at from ${events}
    where created_at < ${before.toISOString()}
      and (created_at, id) > (${after.createdAt}::timestamptz, ${after.id})
    order by created_at, id limit ${limit} for update skip locked`)
  const last = rows.length === limit ? rows.at(-1) : undefined
  const next = last ? { createdAt: last.at, id: last.id } : null
  return { ids: rows.map(({ id }) => id), next }
}

/**
 * Runs after the lock and as a separate statement, so that it sees everything that was committed
 * before the lock.
 */
async function findInUse(tx: Tx, ids: string[], before: Date): Promise<Set<string>> {
  const { rows } = await tx.execute<{ id: string }>(sql`
    select distinct event_id as id from ${deliveries}
    where ${isAnyOf(deliveries.eventId, ids)}
      and (status = 'pending' or greatest(created_at, updated_at) >= ${before.toISOString()})`)
  return new Set(rows.map(({ id }) => id))
}

/** Passes the ids as one parameter, so that a batch of any size is the same statement. */
function isAnyOf(column: PgColumn, ids: string[]): SQL {
  return sql`${column} = any(${sql.param(ids)})`
}
