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

// Whoever applies an event locks first its row, then its invoice's, and after that no other event's:
// so those of one invoice wait for one another in a row, and never in a circle.

type InboundEventRow = typeof inboundEvents.$inferSelect

/** `invoice` is its id, or the merchant's own number of it. */
type NewInboundEvent = {
  merchantId: string
  eventId: string
  invoice: string | number
  amount: number
}

/** `isRepeat`: the very same event was there already. */
type Received = { event: InboundEventRow; invoice: InvoiceRow; isRepeat: boolean }

/** What was made of an event, as the API shows it to whoever sent it. */
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
 * Keeps an event and applies it, or the one that still waits for its workflow. `told` is the event of
 * ours that tells of it, if one does. Throws AppError as `insertOnce` does.
 */
export async function takeInboundEvent(tx: Tx, values: NewInboundEvent, now: Date) {
  const times = { createdAt: now, updatedAt: now, nextSweepAt: null } // it does not wait
  const received = await insertOnce(tx, values, times)
  const { id, status } = received.event
  const applied = status === 'pending' ? await apply(tx, id, now) : null
  return { ...received, told: null, ...applied }
}

type Times = Pick<InboundEventRow, 'createdAt' | 'updatedAt' | 'nextSweepAt'>

/**
 * The row is locked, whether it is new or not, so what is read after it is not older. Throws AppError
 * when there is no such invoice, or when the merchant used this id for something else.
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

/** Its status and its invoice's, and the event that tells of it. Null: it does not wait any more. */
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

/** For its workflow. The deliveries are of the event that tells of it, whoever applied it. */
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

/** None where the event is kept no more. */
function sentOf(tx: Tx, eventId: string): Promise<Delivery[]> {
  return findDeliveries(tx, and(eq(deliveries.eventId, eventId), isNull(deliveries.resendOf)))
}
