import { and, eq, or } from 'drizzle-orm'
import { AppError } from '../core/errors.ts'
import { timesOfNew } from '../core/sweep.ts'
import type { Db, Tx } from './client.ts'
import { insertEvent } from './events.ts'
import { newId } from './ids.ts'
import { equals, listRows, type Page } from './lists.ts'
import { orders } from './schema.ts'

type OrderRow = typeof orders.$inferSelect
type NewOrder = Pick<
  OrderRow,
  'merchantId' | 'reference' | 'amount' | 'currency' | 'fulfilBy' | 'metadata'
>

/** An order as the API and its events show it. */
export function toOrder(row: OrderRow) {
  return {
    id: row.id,
    object: 'order' as const,
    reference: row.reference,
    amount: row.amount,
    currency: row.currency,
    status: row.status,
    fulfil_by: row.fulfilBy.toISOString(),
    payment_id: row.paymentId,
    cancellation_reason: row.cancellationReason,
    metadata: row.metadata,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  }
}

/** Inserts an order and its event together. Returns both, with the event's deliveries. */
export async function insertOrder(tx: Tx, values: NewOrder, now: Date) {
  const [order] = await tx
    .insert(orders)
    .values({ id: newId('order'), ...values, ...timesOfNew(now) })
    .onConflictDoNothing({ target: [orders.merchantId, orders.reference] })
    .returning()
  if (!order) {
    const message = `There is an order with the reference ${values.reference} already.`
    throw new AppError('reference_taken', message, { param: 'reference' })
  }
  const event = { type: 'order.created' as const, merchantId: order.merchantId }
  return { order, event: await insertEvent(tx, { ...event, object: toOrder(order) }, now) }
}

export async function getOrder(db: Db | Tx, merchantId: string, id: string): Promise<OrderRow> {
  const [row] = await db
    .select()
    .from(orders)
    .where(and(eq(orders.id, id), eq(orders.merchantId, merchantId)))
  if (!row) throw new AppError('not_found', `No such order: ${id}`)
  return row
}

/** By its id or by the merchant's own reference: one of them can't be mistaken for the other. */
export async function findOrder(tx: Db | Tx, merchantId: string, idOrReference: string) {
  const [row] = await tx
    .select()
    .from(orders)
    .where(
      and(
        eq(orders.merchantId, merchantId),
        or(eq(orders.id, idOrReference), eq(orders.reference, idOrReference)),
      ),
    )
  return row
}

type Filter = Page & { status?: OrderRow['status'] | undefined; reference?: string | undefined }

export function listOrders(db: Db, merchantId: string, { status, reference, ...page }: Filter) {
  const filters = [equals(orders.status, status), equals(orders.reference, reference)]
  return listRows(db, orders, merchantId, page, filters)
}

/** In the transaction that settles its payment. The deliveries of `order.paid`; null: no such move. */
export async function markOrderPaid(tx: Tx, id: string, paymentId: string, now: Date) {
  const [order] = await tx
    .update(orders)
    .set({ status: 'paid', paymentId, updatedAt: now })
    .where(and(eq(orders.id, id), eq(orders.status, 'created')))
    .returning()
  if (!order) return null
  const event = { type: 'order.paid' as const, merchantId: order.merchantId }
  return (await insertEvent(tx, { ...event, object: toOrder(order) }, now)).deliveries
}
