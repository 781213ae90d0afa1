import { and, desc, eq, gt, inArray, not, or, sql } from 'drizzle-orm'
import { commandDoneBy, isOpenStatus } from '../../core/lifecycles/lifecycle.ts'
import {
  type OrderCancellationReason,
  type OrderStatus,
  orderLifecycle,
} from '../../core/lifecycles/order.ts'
import { paymentLifecycle } from '../../core/lifecycles/payment.ts'
import { statusesBefore } from '../../core/lifecycles/transitions.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import type { Db, Tx } from '../client.ts'
import { findRow } from '../lifecycle-steps.ts'
import type { PaymentRow } from '../payments/payments.ts'
import { orders, payments } from '../payments/schema.ts'
import { insertManualRefund, insertOwedRefund, type RefundRow } from '../refunds/refunds.ts'
import { refunds } from '../refunds/schema.ts'
import { answerCommand, findOpenCommand } from '../requests/commands.ts'
import { findEventDeliveries, insertEvent } from '../webhooks/events.ts'
import { type OrderRow, toOrder } from './orders.ts'

/** The recorded outcome of an order, with the deliveries of the emitted event. */
export type OrderRecorded = Pick<
  OrderRow,
  'status' | 'paymentId' | 'cancellationReason' | 'isCompensating'
> & { deliveries: Delivery[] }

/**
 * Marks an order as paid, in the transaction that settles its payment. Returns the deliveries of
 * `order.paid`, or null if the lifecycle does not have that move.
 */
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

/** Fulfils an order. A repeated call changes nothing and returns the first result again. */
export function fulfillOrder(db: Db, id: string, now: Date): Promise<OrderRecorded> {
  return db.transaction((tx) => endOrder(tx, id, fulfilled, now))
}

/**
 * Cancels an order. After that nobody can pay or fulfil the order, and everything that was done for
 * it is to be undone. A command that arrived before the deadline wins over the deadline, even if
 * its update got lost. A repeated call changes nothing and returns the first result again.
 */
export function cancelOrder(
  db: Db,
  id: string,
  reason: OrderCancellationReason,
  now: Date,
): Promise<OrderRecorded> {
  return db.transaction(async (tx) => {
    await tx.select({ id: orders.id }).from(orders).where(eq(orders.id, id)).for('no key update')
    const asked = await findOpenCommand(tx, id)
    if (reason === 'deadline_passed' && asked?.kind === 'fulfill')
      return endOrder(tx, id, fulfilled, now)
    const cancellationReason = asked?.kind === 'cancel' ? 'requested' : reason
    return endOrder(tx, id, { status: 'canceled', cancellationReason, isCompensating: true }, now)
  })
}

type End = { status: 'fulfilled' | 'canceled' } & Partial<OrderRow>
const fulfilled: End = { status: 'fulfilled' }

async function endOrder(tx: Tx, id: string, end: End, now: Date): Promise<OrderRecorded> {
  const [order] = await tx
    .update(orders)
    .set({ ...end, nextSweepAt: null, updatedAt: now })
    .where(movesTo(id, end.status))
    .returning()
  if (!order) return recordedBefore(tx, id)
  const { merchantId, amount } = order
  const done = commandDoneBy(orderLifecycle, end.status)
  await answerCommand(tx, id, { done, amount, ofAmount: amount }, now)
  const event = { type: `order.${end.status}` as const, merchantId, object: toOrder(order) }
  const { deliveries } = await insertEvent(tx, event, now)
  return { ...toRecorded(order), deliveries }
}

function movesTo(id: string, status: OrderStatus) {
  return and(
    eq(orders.id, id),
    inArray(orders.status, statusesBefore(orderLifecycle.moves, status)),
  )
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
 * Marks a canceled order for compensation again, in the transaction that finds money on it: a
 * payment succeeded after all, or a refund came back. The saga of the order undoes that too. If the
 * saga has ended, the sweep starts it. Returns false if the order is not canceled.
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

/** A refund that is on its way, with the deliveries of the emitted event. */
export type RefundUnderWay = Pick<
  RefundRow,
  'id' | 'merchantId' | 'paymentId' | 'amount' | 'currency'
> & { deliveries: Delivery[] }

/**
 * Refunds the rest of the money that was paid for a canceled order. Returns the refund that has to
 * end before the next call: a new refund, or one that was pending already. Returns null after all
 * the money has gone back, which ends the compensation. Throws while a payment for the order is
 * open.
 */
export async function refundOrder(db: Db, id: string, now: Date): Promise<RefundUnderWay | null> {
  return db.transaction(async (tx) => {
    // Every transaction locks payments before their orders. The payments are read again under the
    // lock of the order, because an open payment may have succeeded meanwhile.
    await findMoney(tx, id, { lock: true })
    await tx.select({ id: orders.id }).from(orders).where(eq(orders.id, id)).for('no key update')
    const paid = await findMoney(tx, id, { lock: false })
    const open = paid.find(({ status }) => isOpenStatus(paymentLifecycle, status))
    if (open) throw new Error(`Payment ${open.id} for the order is still ${open.status}`)
    const payment = paid.find(isToRefund)
    if (payment) {
      const values = refundOf(payment, `Order ${id} was canceled`)
      const { refund, deliveries } = await insertOwedRefund(tx, values, now)
      return toUnderWay(refund, deliveries)
    }
    const pending = await findPendingRefund(tx, paid)
    if (pending) return toUnderWay(pending, [])
    const done = { isCompensating: false, nextSweepAt: null }
    await tx.update(orders).set(done).where(eq(orders.id, id))
    return null
  })
}

/**
 * Finds the payments that have brought money, late successes included, and those that still may.
 */
async function findMoney(tx: Tx, orderId: string, { lock }: { lock: boolean }) {
  const closed = inArray(payments.status, ['failed', 'canceled'])
  const query = tx
    .select()
    .from(payments)
    .where(and(eq(payments.orderId, orderId), or(not(closed), gt(payments.amountCaptured, 0))))
    .orderBy(payments.id)
  return lock ? query.for('no key update') : query
}

async function findPendingRefund(tx: Tx, paid: { id: string }[]) {
  const ofThem = inArray(
    refunds.paymentId,
    paid.map(({ id }) => id),
  )
  const [refund] = await tx
    .select()
    .from(refunds)
    .where(and(ofThem, eq(refunds.status, 'pending')))
    .orderBy(desc(refunds.createdAt))
    .limit(1)
  return refund
}

function toUnderWay(refund: RefundRow, deliveries: Delivery[]): RefundUnderWay {
  const { id, merchantId, paymentId, amount, currency } = refund
  return { id, merchantId, paymentId, amount, currency, deliveries }
}

/**
 * Records that an operator has given back the rest of the money in another way, as a refund that
 * has arrived. Returns the deliveries of the emitted events. A repeated call finds nothing left.
 */
export async function recordManualRefund(db: Db, id: string, now: Date): Promise<Delivery[]> {
  return db.transaction(async (tx) => {
    const told: Delivery[] = []
    for (const payment of (await findMoney(tx, id, { lock: true })).filter(isToRefund)) {
      const values = refundOf(payment, `Order ${id} was canceled, and refunded by an operator`)
      told.push(...(await insertManualRefund(tx, values, now)))
    }
    return told
  })
}

type Captured = Pick<PaymentRow, 'id' | 'merchantId' | 'amountCaptured' | 'amountRefunded'>

function isToRefund({ amountCaptured, amountRefunded }: Captured): boolean {
  return amountRefunded < amountCaptured
}

function refundOf({ id, merchantId, amountCaptured, amountRefunded }: Captured, reason: string) {
  const amount = amountCaptured - amountRefunded
  return { merchantId, paymentId: id, amount, reason, metadata: {} }
}
