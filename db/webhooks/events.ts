import { and, arrayContains, eq, isNull, or } from 'drizzle-orm'
import { firstSweepAt } from '../../core/lifecycles/sweep.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import type { EventType } from '../../core/webhooks/events.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { equals, listRows, type Page } from '../lists.ts'
import { getterOf } from '../rows.ts'
import { findDeliveries } from './deliveries.ts'
import { deliveries, endpoints, events } from './schema.ts'

type EventRow = typeof events.$inferSelect
type NewEvent = {
  type: EventType
  merchantId: string
  object: { id: string; object: string }
  test?: true // nothing has happened: the event only shows its format
}

/**
 * Returns an event as the API shows it: its exact body, and the field `object`, which names the
 * type in lists.
 */
export function toEvent(row: EventRow) {
  return { object: 'event' as const, ...(JSON.parse(row.body) as EventBody) }
}

type EventBody = {
  id: string
  type: EventType
  created_at: string
  test?: true
  data: { object: Record<string, unknown> }
}

/**
 * Takes a transaction, never a `Db`: an event and its deliveries commit with the change that they
 * report, or not at all. Returns the deliveries for a workflow to start, one per endpoint that
 * wants the event.
 */
export async function insertEvent(tx: Tx, event: NewEvent, now: Date) {
  const { type, merchantId, object, test } = event
  const id = newId('event')
  const created_at = now.toISOString()
  const body = JSON.stringify({ id, type, created_at, ...(test && { test }), data: { object } })
  const row = { id, type, merchantId, resourceId: object.id, body, createdAt: now }
  const told = tx.$with('told').as(tx.insert(events).values(row).returning({ id: events.id }))
  const targets = await tx
    .with(told)
    .select({ endpointId: endpoints.id, url: endpoints.url })
    .from(endpoints)
    .where(
      and(
        eq(endpoints.merchantId, merchantId),
        eq(endpoints.status, 'enabled'),
        isNull(endpoints.deletedAt),
        or(isNull(endpoints.eventTypes), arrayContains(endpoints.eventTypes, [type])),
      ),
    )
  return { id, type, merchantId, deliveries: await insertDeliveries(tx, row, targets) }
}

type Target = { endpointId: string; url: string }

async function insertDeliveries(
  tx: Tx,
  { id: eventId, type: eventType, merchantId, createdAt }: typeof events.$inferInsert,
  targets: Target[],
): Promise<Delivery[]> {
  if (targets.length === 0) return []
  const made = targets.map((target) => ({ id: newId('delivery'), ...target }))
  const nextSweepAt = firstSweepAt('delivery', createdAt)
  const rest = { merchantId, eventId, createdAt, updatedAt: createdAt, nextSweepAt }
  await tx
    .insert(deliveries)
    .values(made.map(({ id, endpointId }) => ({ id, endpointId, ...rest })))
  return made.map(({ id, endpointId, url }) => {
    return { id, merchantId, endpointId, eventType, host: new URL(url).host }
  })
}

/**
 * Returns the deliveries that were inserted together with an event, or null if there is no such
 * event.
 */
export async function findEventDeliveries(tx: Db | Tx, type: EventType, resourceId: string) {
  const [event] = await tx
    .select({ id: events.id })
    .from(events)
    .where(and(eq(events.resourceId, resourceId), eq(events.type, type)))
  if (!event) return null
  return findDeliveries(tx, and(eq(deliveries.eventId, event.id), isNull(deliveries.resendOf)))
}

export const getEvent = getterOf(events, 'event')

type Filter = Page & { type?: EventType | undefined }

export function listEvents(db: Db, merchantId: string, { type, ...page }: Filter) {
  return listRows(db, events, merchantId, page, [equals(events.type, type)])
}
