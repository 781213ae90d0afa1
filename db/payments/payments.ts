import { and, eq, gt, or, sql } from 'drizzle-orm'
import { AppError } from '../../core/errors.ts'
import type { PaymentCommand } from '../../core/lifecycles/command.ts'
import { failureMessages, type PaymentStatus } from '../../core/lifecycles/payment.ts'
import { timesOfNew } from '../../core/lifecycles/sweep.ts'
import { maskVpa } from '../../core/money/vpa.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { lockToCommand } from '../lifecycle-steps.ts'
import { equals, type List, listRows, type Page } from '../lists.ts'
import { findOrder, lockOrder } from '../orders/orders.ts'
import { lockLinkToPay } from '../payment-links/payment-links.ts'
import { type CommandRow, findOpenCommand, insertCommand } from '../requests/commands.ts'
import { insertEvent } from '../webhooks/events.ts'
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
  const order = orderId === null ? null : await orderToPay(tx, { ...values, orderId }, now)
  return insertRow(tx, { ...values, orderId: order?.id ?? null }, now)
}

/** What a payer says of how they pay. */
export type Source = Pick<
  NewPayment,
  'method' | 'vpa' | 'cardToken' | 'cardBrand' | 'cardLast4' | 'provider'
>

/**
 * As `insertPayment`, of a payment link by whoever has it. Throws AppError when there is nothing to pay,
 * or somebody else is paying.
 */
export async function insertLinkPayment(tx: Tx, linkId: string, source: Source, now: Date) {
  const { merchantId, amount, currency, description } = await lockLinkToPay(tx, linkId, now)
  if (await findPaymentOf(tx, linkId)) {
    const message = 'Another payment for this link is in progress.'
    throw new AppError('payment_link_payment_in_progress', message)
  }
  await checkFailures(tx, linkId, now)
  const asked = { merchantId, amount, currency, description, captureMethod: 'automatic' as const }
  const values = { ...source, ...asked, orderId: null, paymentLinkId: linkId, metadata: {} }
  return insertRow(tx, values, now)
}

const FAILURES_MAX = 20
const FAILURES_WINDOW_MS = 60 * 60_000

/** A link is no place to try out cards. */
async function checkFailures(tx: Tx, linkId: string, now: Date): Promise<void> {
  const since = new Date(now.getTime() - FAILURES_WINDOW_MS)
  const recent = and(eq(payments.paymentLinkId, linkId), gt(payments.createdAt, since))
  if ((await tx.$count(payments, and(recent, eq(payments.status, 'failed')))) < FAILURES_MAX) return
  const message = 'Too many payments for this link have failed. Try again in an hour.'
  throw new AppError('rate_limited', message, { headers: { 'Retry-After': '3600' } })
}

type NewRow = NewPayment & Partial<Pick<PaymentRow, 'paymentLinkId'>>

async function insertRow(tx: Tx, values: NewRow, now: Date) {
  const [payment] = await tx
    .insert(payments)
    .values({ id: newId('payment'), ...values, ...timesOfNew(now) })
    .returning()
  if (!payment) throw new Error('The payment was not inserted')
  const { merchantId } = payment
  const event = { type: 'payment.created' as const, merchantId, object: toPayment(payment) }
  return { payment, deliveries: (await insertEvent(tx, event, now)).deliveries }
}

type ToPay = Pick<PaymentRow, 'merchantId' | 'amount' | 'currency'> & { orderId: string }

/** Locked, so that of two payments at the same moment the second one sees the first. */
async function orderToPay(tx: Tx, { merchantId, orderId, amount, currency }: ToPay, now: Date) {
  const order = await lockOrder(tx, merchantId, orderId)
  if (!order)
    throw new AppError('order_not_found', `No such order: ${orderId}`, { param: 'order_id' })
  if (order.status !== 'created') throw orderRefusal(order.status)
  const isOver = order.fulfilBy <= now || (await findOpenCommand(tx, order.id, 'cancel'))
  if (isOver) throw orderRefusal('canceled') // its saga is about to
  for (const param of ['amount', 'currency'] as const) {
    if (order[param] === { amount, currency }[param]) continue
    const message = `The order's ${param} is ${order[param]}.`
    throw new AppError('order_mismatch', message, { param })
  }
  if (await findPaymentOf(tx, order.id)) {
    const message = 'Another payment for this order is in progress.'
    throw new AppError('order_payment_in_progress', message, { param: 'order_id' })
  }
  return order
}

function orderRefusal(status: 'paid' | 'fulfilled' | 'canceled'): AppError {
  if (status === 'canceled')
    return new AppError('conflict', 'The order is canceled.', { param: 'order_id' })
  return new AppError('order_already_paid', 'The order is paid.', { param: 'order_id' })
}

/** The one payment that an order or a payment link has at a time: it is open, or has succeeded. */
export async function findPaymentOf(db: Db | Tx, payableId: string) {
  const holds = sql`${payments.status} not in ('failed', 'canceled')` // as the indexes say it
  const [row] = await db
    .select()
    .from(payments)
    .where(and(or(eq(payments.orderId, payableId), eq(payments.paymentLinkId, payableId)), holds))
  return row
}

/** Of a payment link, for its payers. */
export async function findLastPaymentOf(db: Db, linkId: string): Promise<PaymentRow | undefined> {
  const [row] = await db
    .select()
    .from(payments)
    .where(eq(payments.paymentLinkId, linkId))
    .orderBy(sql`${payments.createdAt} desc nulls last`, sql`${payments.id} desc nulls last`)
    .limit(1)
  return row
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

type Filter = Page & {
  status?: PaymentStatus | undefined
  orderId?: string | undefined
  paymentLinkId?: string | undefined
}

/** `orderId` is an order's id or the merchant's own reference. Throws AppError when it is neither. */
export async function listPayments(
  db: Db,
  merchantId: string,
  { status, orderId, paymentLinkId, ...page }: Filter,
): Promise<List<PaymentRow>> {
  const order = orderId === undefined ? undefined : await findOrder(db, merchantId, orderId)
  if (orderId !== undefined && !order)
    throw new AppError('invalid_request', `No such order: ${orderId}`, { param: 'order_id' })
  const filters = [
    equals(payments.status, status),
    equals(payments.orderId, order?.id),
    equals(payments.paymentLinkId, paymentLinkId),
  ]
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
  const asked = { merchantId, id, noun: 'payment' }
  const payment = await lockToCommand(tx, payments, asked, commandable[command.kind])
  const amount = command.kind === 'capture' ? command.amount : null
  if (amount !== null && amount < payment.amount && payment.orderId) {
    const message = 'The payment is for an order: all of it is captured, or nothing.'
    throw new AppError('order_mismatch', message, { param: 'amount' })
  }
  if (amount !== null && amount > payment.amount) {
    const message = `Only ${payment.amount} is authorized.`
    throw new AppError('capture_exceeds_authorized', message, { param: 'amount' })
  }
  return insertCommand(tx, { merchantId, resourceId: id, kind: command.kind, amount }, now)
}

/**
 * The command to cancel a payment, as its merchant would give it: a new one, or the one that is there.
 * Null where it can't be canceled any more, or is told something else just now.
 */
export async function askToCancel(
  db: Db,
  { id, merchantId }: PaymentRow,
  now: Date,
): Promise<CommandRow | null> {
  try {
    return await db.transaction((tx) =>
      openPaymentCommand(tx, merchantId, id, { kind: 'cancel' }, now),
    )
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'conflict')) throw error
    return findOpenCommand(db, id, 'cancel')
  }
}
