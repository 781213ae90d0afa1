import { and, eq, inArray, sql } from 'drizzle-orm'
import type { Delivery } from '../core/delivery.ts'
import { AppError } from '../core/errors.ts'
import { paymentPostings } from '../core/ledger.ts'
import { feeOf } from '../core/money.ts'
import {
  failureMessages,
  type PaymentStatus,
  statusesBefore,
  type Verdict,
} from '../core/payment.ts'
import { firstSweepAt } from '../core/sweep.ts'
import { maskVpa } from '../core/vpa.ts'
import type { Db, Tx } from './client.ts'
import { findEventDeliveries, insertEvent } from './events.ts'
import { newId } from './ids.ts'
import { postTransaction } from './ledger.ts'
import { equals, type List, listRows, type Page } from './lists.ts'
import { findOrder, markOrderPaid } from './orders.ts'
import { payments } from './schema.ts'

export type PaymentRow = typeof payments.$inferSelect
export type NewPayment = Pick<
  PaymentRow,
  'merchantId' | 'orderId' | 'amount' | 'currency' | 'method' | 'captureMethod' | 'description'
> &
  Pick<PaymentRow, 'vpa' | 'cardToken' | 'cardBrand' | 'cardLast4' | 'metadata' | 'provider'>

/** A payment as the API and its events show it. */
export function toPayment(row: PaymentRow) {
  const { cardBrand: brand, cardLast4: last4, failureCode } = row
  return {
    id: row.id,
    object: 'payment' as const,
    status: row.status,
    amount: row.amount,
    amount_captured: row.amountCaptured,
    amount_refunded: row.amountRefunded,
    currency: row.currency,
    method: row.method,
    order_id: row.orderId,
    capture_method: row.captureMethod,
    card: brand && last4 ? { brand, last4 } : null,
    vpa: row.vpa && maskVpa(row.vpa),
    failure_code: failureCode,
    failure_message: failureCode && failureMessages[failureCode],
    needs_attention: row.needsAttention,
    description: row.description,
    metadata: row.metadata,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  }
}

/**
 * Inserts a payment and its event together, and returns both. `orderId` is an order's id or the
 * merchant's own reference. Throws AppError when the order is not there to be paid.
 */
export async function insertPayment(tx: Tx, { orderId, ...values }: NewPayment, now: Date) {
  const order = orderId === null ? null : await orderToPay(tx, { ...values, orderId })
  const [payment] = await tx
    .insert(payments)
    .values({
      id: newId('payment'),
      ...values,
      orderId: order?.id ?? null,
      createdAt: now,
      updatedAt: now,
      nextSweepAt: firstSweepAt('lifecycle', now),
    })
    .onConflictDoNothing({
      target: payments.orderId,
      where: sql`status not in ('failed', 'canceled')`,
    })
    .returning()
  if (!payment) throw await orderTaken(tx, order?.id ?? '')
  const { merchantId } = payment
  const event = { type: 'payment.created' as const, merchantId, object: toPayment(payment) }
  return { payment, deliveries: (await insertEvent(tx, event, now)).deliveries }
}

type ToPay = Pick<PaymentRow, 'merchantId' | 'amount' | 'currency'> & { orderId: string }

async function orderToPay(tx: Tx, { merchantId, orderId, amount, currency }: ToPay) {
  const order = await findOrder(tx, merchantId, orderId)
  if (!order)
    throw new AppError('order_not_found', `No such order: ${orderId}`, { param: 'order_id' })
  if (order.status !== 'created') throw orderRefusal(order.status)
  for (const param of ['amount', 'currency'] as const) {
    if (order[param] === { amount, currency }[param]) continue
    const message = `The order's ${param} is ${order[param]}.`
    throw new AppError('order_mismatch', message, { param })
  }
  return order
}

function orderRefusal(status: 'paid' | 'fulfilled' | 'canceled'): AppError {
  if (status === 'canceled')
    return new AppError('conflict', 'The order is canceled.', { param: 'order_id' })
  return new AppError('order_already_paid', 'The order is paid.', { param: 'order_id' })
}

/** Another payment holds the order: who came first may have just succeeded. */
async function orderTaken(tx: Tx, orderId: string): Promise<AppError> {
  const paid = await tx
    .select({ id: payments.id })
    .from(payments)
    .where(and(eq(payments.orderId, orderId), eq(payments.status, 'succeeded')))
  if (paid.length > 0) return orderRefusal('paid')
  const message = 'Another payment for this order is in progress.'
  return new AppError('order_payment_in_progress', message, { param: 'order_id' })
}

/** For the API, which must never read another merchant's rows. */
export async function getPayment(db: Db, merchantId: string, id: string): Promise<PaymentRow> {
  const [row] = await db
    .select()
    .from(payments)
    .where(and(eq(payments.id, id), eq(payments.merchantId, merchantId)))
  if (!row) throw new AppError('not_found', `No such payment: ${id}`)
  return row
}

type Filter = Page & { status?: PaymentStatus | undefined; orderId?: string | undefined }

/** `orderId` is an order's id or the merchant's own reference. Throws AppError when it is neither. */
export async function listPayments(
  db: Db,
  merchantId: string,
  { status, orderId, ...page }: Filter,
): Promise<List<PaymentRow>> {
  const order = orderId === undefined ? undefined : await findOrder(db, merchantId, orderId)
  if (orderId !== undefined && !order)
    throw new AppError('invalid_request', `No such order: ${orderId}`, { param: 'order_id' })
  const filters = [equals(payments.status, status), equals(payments.orderId, order?.id)]
  return listRows(db, payments, merchantId, page, filters)
}

/** For the workflow, whose first activity also tells the sweep that the payment needs no start. */
export async function takeUpPayment(db: Db, id: string): Promise<PaymentRow> {
  const [row] = await db
    .update(payments)
    .set({ nextSweepAt: null })
    .where(eq(payments.id, id))
    .returning()
  if (!row) throw new AppError('not_found', `No such payment: ${id}`)
  return row
}

/** The provider's own id, which is never replaced: what was created first is what is charged. */
export async function setProviderRef(db: Db, id: string, ref: string): Promise<PaymentRow> {
  const [row] = await db
    .update(payments)
    .set({ providerRef: sql`coalesce(${payments.providerRef}, ${ref})` })
    .where(eq(payments.id, id))
    .returning()
  if (!row) throw new AppError('not_found', `No such payment: ${id}`)
  return row
}

/**
 * Stores that attempt `number` of the charge is about to be sent, so that whoever comes after a
 * crash looks first. Throws when it is not the next one: somebody else has just sent it.
 */
export async function markChargeSent(db: Db, id: string, number: number, now: Date) {
  const sent = await db
    .update(payments)
    .set({ chargeAttempt: number, chargeSentAt: now })
    .where(
      and(
        eq(payments.id, id),
        eq(payments.status, 'pending'),
        eq(payments.chargeAttempt, number - 1),
      ),
    )
    .returning({ id: payments.id })
  if (sent.length === 0) throw new Error(`Attempt ${number} to charge ${id} was sent already`)
}

/** For an operator to find: it waits for one, or something happened that should not. */
export async function markNeedsAttention(db: Db | Tx, id: string, now: Date): Promise<void> {
  await db.update(payments).set({ needsAttention: true, updatedAt: now }).where(eq(payments.id, id))
}

type Settled = { status: PaymentStatus; deliveries: Delivery[] }

/**
 * Settles a payment, and books and records it in the same transaction. A repeated call changes
 * nothing and returns the first result again. A success that comes too late reopens nothing: it is
 * marked for an operator.
 */
export async function settlePayment(
  db: Db,
  id: string,
  verdict: Verdict,
  options: { feeBps: number; now: Date },
): Promise<Settled> {
  const { status, failureCode } = verdict
  const { now, feeBps } = options
  return db.transaction(async (tx) => {
    const [payment] = await tx
      .update(payments)
      .set({
        status,
        failureCode,
        amountCaptured: status === 'succeeded' ? payments.amount : 0,
        needsAttention: false,
        updatedAt: now,
      })
      .where(and(eq(payments.id, id), inArray(payments.status, statusesBefore(status))))
      .returning()
    if (!payment) return settledBefore(tx, id, status, now)

    const { merchantId } = payment
    const event = { type: `payment.${status}` as const, merchantId, object: toPayment(payment) }
    const { deliveries } = await insertEvent(tx, event, now)
    if (status !== 'succeeded') return { status, deliveries }
    const paid = payment.orderId ? await markOrderPaid(tx, payment.orderId, now) : []
    if (!paid) await markNeedsAttention(tx, id, now) // money for an order that wants none any more
    await bookPayment(tx, payment, feeBps, now) // last, as it locks the merchant's account
    return { status, deliveries: [...deliveries, ...(paid ?? [])] }
  })
}

async function bookPayment(tx: Tx, payment: PaymentRow, feeBps: number, now: Date) {
  const { id: sourceId, merchantId, currency, amountCaptured } = payment
  const postings = paymentPostings(amountCaptured, feeOf(amountCaptured, feeBps))
  await postTransaction(tx, { type: 'payment', merchantId, sourceId, currency, postings }, now)
}

/** Nothing moved: either this is our own retry, or the payment was settled another way. */
async function settledBefore(tx: Tx, id: string, wanted: PaymentStatus, now: Date) {
  const [row] = await tx.select().from(payments).where(eq(payments.id, id))
  if (!row) throw new AppError('not_found', `No such payment: ${id}`)
  const { status, orderId } = row
  if (status === 'pending' || status === 'authorized')
    throw new AppError('conflict', `Payment ${id} is ${status} and can't become ${wanted}`)
  if (wanted === 'succeeded' && status !== 'succeeded') await markNeedsAttention(tx, id, now)
  const deliveries = (await findEventDeliveries(tx, `payment.${status}`, id)) ?? []
  const isPaid = status === 'succeeded' && orderId
  const paid = isPaid && (await findEventDeliveries(tx, 'order.paid', orderId))
  return { status, deliveries: [...deliveries, ...(paid || [])] }
}
