import { and, desc, eq, inArray, sql } from 'drizzle-orm'
import { orderCommandDoneBy } from '../core/command.ts'
import type { Delivery } from '../core/delivery.ts'
import { type OrderCancellationReason, type OrderStatus, orderMoves } from '../core/order.ts'
import { statusesBefore } from '../core/transitions.ts'
import type { Db, Tx } from './client.ts'
import { answerCommand } from './commands.ts'
import { findEventDeliveries, insertEvent } from './events.ts'
import { findRow } from './lifecycle-steps.ts'
import { type OrderRow, toOrder } from './orders.ts'
import { insertOwedRefund, type RefundRow } from './refunds.ts'
import { orders, payments } from './schema.ts'
import { refunds } from './transfer-schema.ts'

/** What an order has become, and the deliveries of the event that told of it. */
export type OrderRecorded = Pick<
  OrderRow,
  'status' | 'paymentId' | 'cancellationReason' | 'isCompensating'
> & { deliveries: Delivery[] }

/** In the transaction that settles its payment. The deliveries of `order.paid`; null: no such move. */
export async function markOrderPaid(tx: Tx, id: string, paymentId: string, now: Date) {
  const [order] = await tx
    .update(orders)
    .set({ status: 'paid', paymentId, updatedAt: now })
    .where(movesTo(id, 'paid'))
    .returning()
  if (!order) return null
  const event = { type: 'order.paid' as const, merchantId: order.merchantId }
  return (await insertEvent(tx, { ...event, object: toOrder(order) }, now)).deliveries
}

/** A repeated call changes nothing and returns the first result again. */
export function fulfillOrder(db: Db, id: string, now: Date): Promise<OrderRecorded> {
  return endOrder(db, id, { status: 'fulfilled' }, now)
}

/**
 * From here on nobody pays or fulfils it any more, and what had been done for it is to be undone. A
 * repeated call changes nothing and returns the first result again.
 */
export function cancelOrder(
  db: Db,
  id: string,
  cancellationReason: OrderCancellationReason,
  now: Date,
): Promise<OrderRecorded> {
  return endOrder(db, id, { status: 'canceled', cancellationReason, isCompensating: true }, now)
}

type End = { status: keyof typeof orderCommandDoneBy } & Partial<OrderRow>

async function endOrder(db: Db, id: string, end: End, now: Date): Promise<OrderRecorded> {
  return db.transaction(async (tx) => {
    const [order] = await tx
      .update(orders)
      .set({ ...end, nextSweepAt: null, updatedAt: now })
      .where(movesTo(id, end.status))
      .returning()
    if (!order) return recordedBefore(tx, id)
    const { merchantId, amount } = order
    const done = orderCommandDoneBy[end.status]
    await answerCommand(tx, id, { done, amount, ofAmount: amount }, now)
    const event = { type: `order.${end.status}` as const, merchantId, object: toOrder(order) }
    const { deliveries } = await insertEvent(tx, event, now)
    return { ...toRecorded(order), deliveries }
  })
}

function movesTo(id: string, status: OrderStatus) {
  return and(eq(orders.id, id), inArray(orders.status, statusesBefore(orderMoves, status)))
}

async function recordedBefore(tx: Tx, id: string): Promise<OrderRecorded> {
  const order = await findRow(tx, orders, id)
  const told = await findEventDeliveries(tx, `order.${order.status}`, id)
  return { ...toRecorded(order), deliveries: told ?? [] }
}

function toRecorded({ status, paymentId, cancellationReason, isCompensating }: OrderRow) {
  return { status, paymentId, cancellationReason, isCompensating }
}

/**
 * In the transaction that finds money on a canceled order: its payment succeeded all the same, or a
 * refund came back. Its saga is to undo that too; the sweep starts it where it has ended. False when the
 * order is not canceled.
 */
export async function compensateAgain(tx: Tx, id: string, now: Date): Promise<boolean> {
  const nextSweepAt = sql`case when ${orders.isCompensating} then ${orders.nextSweepAt}
    else ${now.toISOString()}::timestamptz end`
  const found = await tx
    .update(orders)
    .set({ isCompensating: true, nextSweepAt })
    .where(and(eq(orders.id, id), eq(orders.status, 'canceled')))
    .returning({ id: orders.id })
  return found.length > 0
}

/** A refund that is on its way, with the deliveries of the event that told of it. */
export type RefundUnderWay = Pick<
  RefundRow,
  'id' | 'merchantId' | 'paymentId' | 'amount' | 'currency'
> & { deliveries: Delivery[] }

/**
 * Gives back what is left of what was paid for a canceled order. Returns the refund that has to end
 * before the next call: its own, or one that was there already; null once all has gone back, which
 * ends the compensation. Throws while a payment for the order is open.
 */
export async function refundOrder(db: Db, id: string, now: Date): Promise<RefundUnderWay | null> {
  return db.transaction(async (tx) => {
    // Payments are locked before their orders, everywhere. Which there are is asked again after that:
    // one that was open may have succeeded meanwhile.
    await findWithMoney(tx, id, { lock: true })
    await tx.select({ id: orders.id }).from(orders).where(eq(orders.id, id)).for('no key update')
    const found = await findWithMoney(tx, id, { lock: false })
    const open = found.find(({ status }) => status === 'pending' || status === 'authorized')
    if (open) throw new Error(`Payment ${open.id} for the order is still ${open.status}`)
    for (const { id: paymentId, merchantId, amountCaptured, amountRefunded } of found) {
      const amount = amountCaptured - amountRefunded
      if (amount === 0) continue
      const reason = `Order ${id} was canceled`
      const values = { merchantId, paymentId, amount, reason, metadata: {} }
      const { refund, deliveries } = await insertOwedRefund(tx, values, now)
      return toUnderWay(refund, deliveries)
    }
    const pending = await findPendingRefund(tx, found)
    if (pending) return toUnderWay(pending, [])
    await endCompensation(tx, id)
    return null
  })
}

/**
 * The one payment that is open or has succeeded, and those that did so too late: their refund may have
 * come to nothing.
 */
async function findWithMoney(tx: Tx, orderId: string, { lock }: { lock: boolean }) {
  const holds = sql`(${payments.status} not in ('failed', 'canceled') or ${payments.amountCaptured} > 0)`
  const query = tx
    .select()
    .from(payments)
    .where(and(eq(payments.orderId, orderId), holds))
    .orderBy(payments.id)
  return lock ? query.for('no key update') : query
}

async function findPendingRefund(tx: Tx, found: { id: string }[]) {
  const ids = found.map(({ id }) => id)
  const [refund] = await tx
    .select()
    .from(refunds)
    .where(and(inArray(refunds.paymentId, ids), eq(refunds.status, 'pending')))
    .orderBy(desc(refunds.createdAt))
    .limit(1)
  return refund
}

function toUnderWay(refund: RefundRow, deliveries: Delivery[]): RefundUnderWay {
  const { id, merchantId, paymentId, amount, currency } = refund
  return { id, merchantId, paymentId, amount, currency, deliveries }
}

/** Nothing is left to undo, or somebody has seen to it in another way. */
export async function endCompensation(db: Db | Tx, id: string): Promise<void> {
  await db.update(orders).set({ isCompensating: false, nextSweepAt: null }).where(eq(orders.id, id))
}
