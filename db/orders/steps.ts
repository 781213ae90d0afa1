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
  return db.transaction((tx) => endOrder(tx, id, fulfilled, now))
}

/**
 * From here on nobody pays or fulfils it any more, and what had been done for it is to be undone. A
 * command that was given before the deadline passed comes first, also where it got lost on its way. A
 * repeated call changes nothing and returns the first result again.
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

/** The payments that have brought money, one that succeeded too late too, and those that still may. */
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
 * An operator has given back in another way what is left: that is recorded as a refund that has arrived.
 * Returns the deliveries of what tells of it; a repeated call finds nothing left.
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
