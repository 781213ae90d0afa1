import { and, asc, eq, type SQL } from 'drizzle-orm'
import { AppError } from '../../core/errors.ts'
import { firstSweepAt } from '../../core/lifecycles/sweep.ts'
import type { Delivery, DeliveryStatus } from '../../core/webhooks/delivery.ts'
import type { EventType } from '../../core/webhooks/events.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { equals, type List, type Page, pageOf, toList } from '../lists.ts'
import { firstRow } from '../rows.ts'
import { attempts, deliveries, endpoints, events } from './schema.ts'

export type AttemptRow = typeof attempts.$inferSelect
type DeliveryRow = typeof deliveries.$inferSelect
type DeliveryDetails = DeliveryRow & { eventType: EventType; url: string }

/** Returns a delivery as the API shows it. */
export function toDelivery(row: DeliveryDetails) {
  return {
    id: row.id,
    object: 'webhook_delivery' as const,
    status: row.status,
    event_id: row.eventId,
    event_type: row.eventType,
    endpoint_id: row.endpointId,
    url: row.url,
    resend_of: row.resendOf,
    next_attempt_at: row.nextAttemptAt?.toISOString() ?? null,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  }
}

export function toAttempt(row: AttemptRow) {
  return {
    id: row.id,
    attempt: row.attempt,
    state: row.state,
    http_status: row.httpStatus,
    error: row.error,
    latency_ms: row.latencyMs,
    reconnected: row.reconnected,
    next_attempt_at: row.nextAttemptAt?.toISOString() ?? null,
    request: { url: row.url, headers: row.requestHeaders, body_sha256: row.bodySha256 },
    response: { headers: row.responseHeaders, body: row.responseBody },
    created_at: row.createdAt.toISOString(),
  }
}

function selectDeliveries(db: Db | Tx) {
  return db
    .select({ delivery: deliveries, url: endpoints.url, eventType: events.type })
    .from(deliveries)
    .innerJoin(endpoints, eq(endpoints.id, deliveries.endpointId))
    .innerJoin(events, eq(events.id, deliveries.eventId))
    .$dynamic()
}

/** Finds deliveries, in the form that a workflow takes. */
export async function findDeliveries(db: Db | Tx, where: SQL | undefined): Promise<Delivery[]> {
  const rows = await selectDeliveries(db).where(where)
  return rows.map(({ delivery, ...rest }) => toStartable({ ...delivery, ...rest }))
}

/** Returns a delivery in the form that a workflow takes. */
export function toStartable({ id, merchantId, endpointId, eventType, url }: DeliveryDetails) {
  return { id, merchantId, endpointId, eventType, host: new URL(url).host }
}

async function findDelivery(
  select: ReturnType<typeof selectDeliveries>,
  merchantId: string,
  id: string,
) {
  const isOwnRow = and(eq(deliveries.id, id), eq(deliveries.merchantId, merchantId))
  return firstRow(await select.where(isOwnRow), 'webhook delivery', id)
}

/** Returns a delivery with its attempts, oldest first. */
export async function getDelivery(db: Db, merchantId: string, id: string) {
  const found = await findDelivery(selectDeliveries(db), merchantId, id)
  const made = await db
    .select()
    .from(attempts)
    .where(eq(attempts.deliveryId, id))
    .orderBy(asc(attempts.createdAt), asc(attempts.id))
  const { delivery, ...rest } = found
  return { delivery: { ...delivery, ...rest }, attempts: made }
}

type Filter = Page & {
  status?: DeliveryStatus | undefined
  endpointId?: string | undefined
  eventId?: string | undefined
}

export async function listDeliveries(
  db: Db,
  merchantId: string,
  { status, endpointId, eventId, ...page }: Filter,
): Promise<List<DeliveryDetails>> {
  const { where, orderBy, limit } = await pageOf(db, deliveries, merchantId, page, [
    equals(deliveries.status, status),
    equals(deliveries.endpointId, endpointId),
    equals(deliveries.eventId, eventId),
  ])
  const rows = await selectDeliveries(db)
    .where(where)
    .orderBy(...orderBy)
    .limit(limit)
  return toList(
    rows.map(({ delivery, ...rest }) => ({ ...delivery, ...rest })),
    page,
  )
}

/**
 * Sends the same event to the same endpoint once more, as a new delivery. Throws AppError when the
 * earlier delivery is still on its way, or when its endpoint is disabled or deleted.
 */
export async function resendDelivery(
  tx: Tx,
  merchantId: string,
  id: string,
  now: Date,
): Promise<DeliveryDetails> {
  // `dropEvents` locks the event first. After this lock, either the event stays, or the event and
  // its delivery are gone.
  const kept = selectDeliveries(tx).for('key share', { of: events })
  const { delivery: sent, ...rest } = await findDelivery(kept, merchantId, id)
  const isIts = eq(endpoints.id, sent.endpointId)
  // This lock makes a transaction that disables the endpoint wait.
  const [endpoint] = await tx.select().from(endpoints).where(isIts).for('share')
  if (sent.status === 'pending') throw new AppError('conflict', 'It is still on its way.')
  if (endpoint?.deletedAt) throw new AppError('conflict', 'Its endpoint was deleted.')
  if (endpoint?.status !== 'enabled')
    throw new AppError('conflict', 'Its endpoint is disabled. Enable it first.')
  const { eventId, endpointId } = sent
  const times = { createdAt: now, updatedAt: now, nextSweepAt: firstSweepAt('delivery', now) }
  const [made] = await tx
    .insert(deliveries)
    .values({ id: newId('delivery'), merchantId, eventId, endpointId, resendOf: id, ...times })
    .returning()
  return { ...(made as DeliveryRow), ...rest }
}

/** Counts a merchant's deliveries that are on their way, and those that have failed for good. */
export async function countDeliveries(db: Db, merchantId: string) {
  const of = (status: DeliveryStatus) =>
    db.$count(deliveries, and(eq(deliveries.merchantId, merchantId), eq(deliveries.status, status)))
  const [pending, failed] = await Promise.all([of('pending'), of('failed')])
  return { pending, failed }
}

/**
 * Fails a delivery whose workflow ends without an answer. Changes nothing if the delivery has an
 * answer.
 */
export async function failDelivery(db: Db, id: string, now: Date): Promise<void> {
  await db.transaction(async (tx) => {
    await interruptAttempts(tx, id)
    await endPending(tx, eq(deliveries.id, id), 'failed', now)
  })
}

/** Marks as `interrupted` the attempts that are still `sending` although their worker has died. */
export function interruptAttempts(db: Db | Tx, deliveryId: string) {
  return db
    .update(attempts)
    .set({ state: 'interrupted' })
    .where(and(eq(attempts.deliveryId, deliveryId), eq(attempts.state, 'sending')))
}

/**
 * Skips the pending deliveries of an endpoint that is disabled or deleted, because they will never
 * be sent.
 */
export async function skipDeliveries(tx: Tx, endpointId: string, now: Date): Promise<void> {
  await endPending(tx, eq(deliveries.endpointId, endpointId), 'skipped', now)
}

async function endPending(tx: Tx, which: SQL, status: 'failed' | 'skipped', now: Date) {
  await tx
    .update(deliveries)
    .set({ status, nextAttemptAt: null, nextSweepAt: null, updatedAt: now })
    .where(and(which, eq(deliveries.status, 'pending')))
}
