import { inArray, type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type { Db, Tx } from '../client.ts'
import { LIFETIME_MS } from '../requests/idempotency.ts'
import { idempotencyKeys } from '../requests/schema.ts'
import { attempts, deliveries, events } from '../webhooks/schema.ts'

/**
 * Drops idempotency keys that stand for nothing any more, oldest first. Returns how many. One that a
 * request is just using again is locked, and skipped; one that it has just used is looked at again
 * as it gets the lock here, and is no longer old.
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

/** Where a batch of events ended. The time is Postgres's own text: a Date would round it. */
export type EventCursor = { createdAt: string; id: string }
export const oldestEvent: EventCursor = { createdAt: '-infinity', id: '' }

type EventPage = { before: Date; after: EventCursor; limit: number }
export type DroppedEvents = { events: number; deliveries: number; attempts: number }

/**
 * Looks at the next events that are older than `before`, and drops those that nothing has happened
 * to since, with their deliveries and attempts. `next` is null when there are no more to look at.
 * An operator's Reset that comes in between fails this as a whole, by a foreign key; once more, and
 * its event stays.
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
    // In the order in which everybody locks them. Deliveries that name one another go at once.
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

/** Those that are about to get another delivery are locked, and skipped. The rest can't get one now. */
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

/** After the lock, in a statement of its own, which sees what was committed until then. */
async function findInUse(tx: Tx, ids: string[], before: Date): Promise<Set<string>> {
  const { rows } = await tx.execute<{ id: string }>(sql`
    select distinct event_id as id from ${deliveries}
    where ${isAnyOf(deliveries.eventId, ids)}
      and (status = 'pending' or greatest(created_at, updated_at) >= ${before.toISOString()})`)
  return new Set(rows.map(({ id }) => id))
}

/** As one parameter, so that a batch of any size is the same statement. */
function isAnyOf(column: PgColumn, ids: string[]): SQL {
  return sql`${column} = any(${sql.param(ids)})`
}
