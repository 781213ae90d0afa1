import { and, eq, or, sql } from 'drizzle-orm'
import { failureMessages, type PaymentStatus } from '../../core/lifecycles/payment.ts'
import { timesOfNew } from '../../core/lifecycles/sweep.ts'
import { maskVpa } from '../../core/money/vpa.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { equals, type List, listRows, type Page } from '../lists.ts'
import { getterOf } from '../rows.ts'
import { insertEvent } from '../webhooks/events.ts'
import { payments } from './schema.ts'

export type PaymentRow = typeof payments.$inferSelect
export type NewPayment = Pick<
  PaymentRow,
  'merchantId' | 'orderId' | 'amount' | 'currency' | 'method' | 'captureMethod' | 'description'
> &
  Pick<PaymentRow, 'vpa' | 'cardToken' | 'cardBrand' | 'cardLast4' | 'metadata' | 'provider'> &
  Partial<Pick<PaymentRow, 'paymentLinkId'>>

/** Returns a payment as the API and its events show it. */
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

/** The method that a payer pays with, and its details. */
export type Source = Pick<
  NewPayment,
  'method' | 'vpa' | 'cardToken' | 'cardBrand' | 'cardLast4' | 'provider'
>

/**
 * Inserts a payment and its event together, and returns both. A payment for an order or a payment
 * link is inserted under the lock of that row: `db/orders/pay.ts`, `db/payment-links/pay.ts`.
 */
export async function insertPayment(tx: Tx, values: NewPayment, now: Date) {
  const [payment] = await tx
    .insert(payments)
    .values({ id: newId('payment'), ...values, ...timesOfNew(now) })
    .returning()
  if (!payment) throw new Error('The payment was not inserted')
  const { merchantId } = payment
  const event = { type: 'payment.created' as const, merchantId, object: toPayment(payment) }
  return { payment, deliveries: (await insertEvent(tx, event, now)).deliveries }
}

/**
 * Finds the payment of an order or a payment link that is open or has succeeded. An order or a
 * payment link has at most one such payment at a time.
 */
export async function findPaymentOf(db: Db | Tx, payableId: string) {
  const holds = sql`${payments.status} not in ('failed', 'canceled')` // worded like the indexes
  const [row] = await db
    .select()
    .from(payments)
    .where(and(or(eq(payments.orderId, payableId), eq(payments.paymentLinkId, payableId)), holds))
  return row
}

export const getPayment = getterOf(payments, 'payment')

type Filter = Page & {
  status?: PaymentStatus | undefined
  orderId?: string | undefined
  paymentLinkId?: string | undefined
}

export function listPayments(
  db: Db,
  merchantId: string,
  { status, orderId, paymentLinkId, ...page }: Filter,
): Promise<List<PaymentRow>> {
  const filters = [
    equals(payments.status, status),
    equals(payments.orderId, orderId),
    equals(payments.paymentLinkId, paymentLinkId),
  ]
  return listRows(db, payments, merchantId, page, filters)
}
