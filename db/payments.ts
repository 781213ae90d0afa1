import { and, eq, sql } from 'drizzle-orm'
import type { PaymentCommand } from '../core/command.ts'
import { AppError } from '../core/errors.ts'
import { failureMessages, type PaymentStatus } from '../core/payment.ts'
import { timesOfNew } from '../core/sweep.ts'
import { maskVpa } from '../core/vpa.ts'
import type { Db, Tx } from './client.ts'
import { type CommandRow, insertCommand } from './commands.ts'
import { insertEvent } from './events.ts'
import { newId } from './ids.ts'
import { equals, type List, listRows, type Page } from './lists.ts'
import { findOrder } from './orders.ts'
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
      ...timesOfNew(now),
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
export async function findPayment(db: Db, merchantId: string, id: string) {
  const [row] = await db
    .select()
    .from(payments)
    .where(and(eq(payments.id, id), eq(payments.merchantId, merchantId)))
  return row
}

/** Throws AppError when they have no such payment. */
export async function getPayment(db: Db, merchantId: string, id: string): Promise<PaymentRow> {
  const row = await findPayment(db, merchantId, id)
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

const commandable = {
  capture: { from: ['authorized'], done: 'captured' },
  cancel: { from: ['pending', 'authorized'], done: 'canceled' },
} as const satisfies Record<PaymentCommand['kind'], { from: PaymentStatus[]; done: string }>

/**
 * Inserts a command on a payment that can take it. Throws AppError when the payment is in another
 * status, when the amount is more than it is of, or when it has an open command already.
 */
export async function openPaymentCommand(
  tx: Tx,
  merchantId: string,
  id: string,
  command: PaymentCommand,
  now: Date,
): Promise<CommandRow> {
  const theirs = and(eq(payments.id, id), eq(payments.merchantId, merchantId))
  const [payment] = await tx.select().from(payments).where(theirs).for('no key update')
  if (!payment) throw new AppError('not_found', `No such payment: ${id}`)
  const { from, done } = commandable[command.kind]
  if (!(from as readonly PaymentStatus[]).includes(payment.status))
    throw new AppError('conflict', `A payment that is ${payment.status} can't be ${done}.`)
  const amount = command.kind === 'capture' ? command.amount : null
  if (amount !== null && amount > payment.amount) {
    const message = `Only ${payment.amount} is authorized.`
    throw new AppError('capture_exceeds_authorized', message, { param: 'amount' })
  }
  return insertCommand(tx, { merchantId, resourceId: id, kind: command.kind, amount }, now)
}
