import { and, eq, isNull } from 'drizzle-orm'
import { AppError } from '../../core/errors.ts'
import type { InboundEventStatus } from '../../core/lifecycles/invoice.ts'
import { timesOfNew } from '../../core/lifecycles/sweep.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { findDeliveries } from '../webhooks/deliveries.ts'
import { deliveries } from '../webhooks/schema.ts'
import { findInvoice, getInvoice, type InvoiceRow, payInvoice, toInvoice } from './invoices.ts'
import { inboundEvents } from './schema.ts'

// A transaction that applies an event locks the row of the event first, then the row of its
// invoice, and after that no other event's row. So the events of one invoice wait in line, and
// never in a circle.

type InboundEventRow = typeof inboundEvents.$inferSelect

/** `invoice` is the invoice's id, or the merchant's own number for the invoice. */
type NewInboundEvent = {
  merchantId: string
  eventId: string
  invoice: string | number
  amount: number
}

/** `isRepeat` is true if the same event was received before. */
type Received = { event: InboundEventRow; invoice: InvoiceRow; isRepeat: boolean }

/** Returns an inbound event and its invoice as the API shows them to the sender. */
export function toInboundEvent({ event, invoice, isRepeat }: Received) {
  return {
    id: event.id,
    object: 'inbound_event' as const,
    event_id: event.eventId,
    invoice_id: event.invoiceId,
    amount: event.amount,
    status: event.status,
    duplicate: isRepeat,
    created_at: event.createdAt.toISOString(),
    applied_at: event.appliedAt?.toISOString() ?? null,
    invoice: toInvoice(invoice),
  }
}

/** Keeps an event for its workflow to apply. Throws AppError as `insertOnce` does. */
export function keepInboundEvent(tx: Tx, values: NewInboundEvent, now: Date): Promise<Received> {
  return insertOnce(tx, values, timesOfNew(now))
}

/**
 * Keeps an event and applies it. If the same event still waits for its workflow, that earlier event
 * is applied. `told` is the event that Remit emitted, or null. Throws AppError as `insertOnce`
 * does.
 */
export async function takeInboundEvent(tx: Tx, values: NewInboundEvent, now: Date) {
  const times = { createdAt: now, updatedAt: now, nextSweepAt: null } // not left to the sweep
  const received = await insertOnce(tx, values, times)
  const { id, status } = received.event
  const applied = status === 'pending' ? await apply(tx, id, now) : null
  return { ...received, told: null, ...applied }
}

type Times = Pick<InboundEventRow, 'createdAt' | 'updatedAt' | 'nextSweepAt'>

/**
 * Inserts an event, or finds the same event from before. Both ways lock the row of the event, so
 * any later read is at least as new as that row. Throws AppError when there is no such invoice, or
 * when the merchant used this `eventId` for another invoice or amount.
 */
async function insertOnce(tx: Tx, values: NewInboundEvent, times: Times): Promise<Received> {
  const { merchantId, eventId, amount } = values
  const invoice = await findInvoice(tx, merchantId, values.invoice)
  if (!invoice) {
    const message = `No such invoice: ${values.invoice}`
    throw new AppError('not_found', message, { param: 'invoice_id' })
  }
  const row = { id: newId('inbound_event'), merchantId, eventId, invoiceId: invoice.id, amount }
  const [event] = await tx
    .insert(inboundEvents)
    .values({ ...row, ...times })
    .onConflictDoNothing({ target: [inboundEvents.merchantId, inboundEvents.eventId] })
    .returning()
  if (event) return { event, invoice, isRepeat: false }

  const before = await lockByEventId(tx, merchantId, eventId)
  if (before.invoiceId !== invoice.id || before.amount !== amount) {
    const message = `The event ${eventId} came before, with another invoice or amount.`
    throw new AppError('event_id_reused', message, { param: 'event_id' })
  }
  const isRepeat = true
  return { event: before, invoice: await getInvoice(tx, merchantId, invoice.id), isRepeat }
}

async function lockByEventId(tx: Tx, merchantId: string, eventId: string) {
  const isIt = and(eq(inboundEvents.merchantId, merchantId), eq(inboundEvents.eventId, eventId))
  const [row] = await tx.select().from(inboundEvents).where(isIt).for('no key update')
  if (!row) throw new Error('An inbound event has disappeared')
  return row
}

/**
 * Applies an event. Returns the event, its invoice, and the emitted event. Returns null if the
 * event was applied before.
 */
async function apply(tx: Tx, id: string, now: Date) {
  const change = { status: 'applied' as const, appliedAt: now, nextSweepAt: null, updatedAt: now }
  const isIt = eq(inboundEvents.id, id)
  const [event] = await tx
    .update(inboundEvents)
    .set(change)
    .where(and(isIt, eq(inboundEvents.status, 'pending')))
    .returning()
  if (!event) return null
  const { invoice, event: told } = await payInvoice(tx, event.invoiceId, event.amount, now)
  if (told) await tx.update(inboundEvents).set({ toldBy: told.id }).where(isIt)
  return { event, invoice, told }
}

/**
 * Applies an event, for its workflow. Returns the deliveries of the emitted event, even if another
 * caller applied the inbound event.
 */
export function applyInboundEvent(
  db: Db,
  id: string,
  now: Date,
): Promise<{ status: InboundEventStatus; deliveries: Delivery[] }> {
  return db.transaction(async (tx) => {
    const applied = await apply(tx, id, now)
    if (applied) return { status: applied.event.status, deliveries: applied.told?.deliveries ?? [] }
    const [row] = await tx.select().from(inboundEvents).where(eq(inboundEvents.id, id))
    if (!row) throw new AppError('not_found', `No such inbound event: ${id}`)
    return { status: row.status, deliveries: row.toldBy ? await sentOf(tx, row.toldBy) : [] }
  })
}

/** Finds the deliveries of an emitted event. There are none after the event is pruned. */
function sentOf(tx: Tx, eventId: string): Promise<Delivery[]> {
  return findDeliveries(tx, and(eq(deliveries.eventId, eventId), isNull(deliveries.resendOf)))
}
