import { and, eq, sql } from 'drizzle-orm'
import { AppError } from '../../core/errors.ts'
import type { RefundStatus } from '../../core/lifecycles/refund.ts'
import { timesOfNew } from '../../core/lifecycles/sweep.ts'
import { type Booking, hold, holdOrOwe, settleHold } from '../../core/money/ledger.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { postTransaction } from '../ledger/ledger.ts'
import { equals, type List, listRows, type Page } from '../lists.ts'
import type { PaymentRow } from '../payments/payments.ts'
import { payments } from '../payments/schema.ts'
import { getterOf } from '../rows.ts'
import { insertEvent } from '../webhooks/events.ts'
import { refunds } from './schema.ts'

export type RefundRow = typeof refunds.$inferSelect
type NewRefund = Pick<RefundRow, 'merchantId' | 'paymentId' | 'amount' | 'reason' | 'metadata'>

/** Returns a refund as the API and its events show it. */
export function toRefund(row: RefundRow) {
  return {
    id: row.id,
    object: 'refund' as const,
    payment_id: row.paymentId,
    amount: row.amount,
    currency: row.currency,
    status: row.status,
    reason: row.reason,
    failure_code: row.failureCode,
    metadata: row.metadata,
    created_at: row.createdAt.toISOString(),
  }
}

/**
 * Inserts a refund and its event, and holds its amount. Throws AppError when the payment has less
 * left than this amount, when nothing was captured, or when the balance of the merchant does not
 * cover the refund.
 */
export function insertRefund(tx: Tx, values: NewRefund, now: Date) {
  return insertHeld(tx, values, hold, now)
}

/**
 * Does what `insertRefund` does, for a refund that can't be refused: whatever the balance does not
 * cover becomes the merchant's debt.
 */
export function insertOwedRefund(tx: Tx, values: NewRefund, now: Date) {
  return insertHeld(tx, values, holdOrOwe, now)
}

type Hold = (amount: number) => Booking

async function insertHeld(tx: Tx, values: NewRefund, book: Hold, now: Date) {
  const payment = await takeFromPayment(tx, values, now)
  const made = await insertRow(tx, payment, values, now)
  await postTransaction(tx, made.refund, 'refund', book(values.amount), now)
  return made
}

/**
 * Inserts the refund of a late success. Nobody requested this refund: the payment was closed when
 * its money came in. The caller holds the money.
 */
export function insertLateRefund(tx: Tx, payment: PaymentRow, now: Date) {
  const { id: paymentId, merchantId, amountCaptured: amount } = payment
  const reason = 'The payment succeeded after it was closed'
  return insertRow(tx, payment, { merchantId, paymentId, amount, reason, metadata: {} }, now)
}

/** The `provider` of refunds that an operator made by hand. */
const MANUAL = 'manual'

/**
 * Inserts a refund that has arrived already, by another way than a provider. Returns the deliveries
 * of the emitted events.
 */
export async function insertManualRefund(tx: Tx, values: NewRefund, now: Date) {
  const payment = await takeFromPayment(tx, values, now)
  const made = await insertRow(tx, { ...payment, provider: MANUAL }, values, now)
  const [refund] = await tx
    .update(refunds)
    .set({ status: 'succeeded', nextSweepAt: null })
    .where(eq(refunds.id, made.refund.id))
    .returning()
  if (!refund) throw new Error(`No such refund: ${made.refund.id}`)
  const { merchantId, amount } = refund
  const event = { type: 'refund.succeeded' as const, merchantId, object: toRefund(refund) }
  const { deliveries } = await insertEvent(tx, event, now)
  await postTransaction(tx, refund, 'refund', holdOrOwe(amount), now)
  await postTransaction(tx, refund, 'refund_settlement', settleHold(amount), now)
  return [...made.deliveries, ...deliveries]
}

async function insertRow(tx: Tx, payment: PaymentRow, values: NewRefund, now: Date) {
  const [refund] = await tx
    .insert(refunds)
    .values({
      id: newId('refund'),
      ...values,
      currency: payment.currency,
      provider: payment.provider,
      ...timesOfNew(now),
    })
    .returning()
  if (!refund) throw new Error('The refund was not inserted')
  const { merchantId } = refund
  const event = { type: 'refund.created' as const, merchantId, object: toRefund(refund) }
  return { refund, deliveries: (await insertEvent(tx, event, now)).deliveries }
}

/**
 * Takes the amount off the payment, and locks the payment, so that no two refunds take the same
 * money.
 */
async function takeFromPayment(tx: Tx, values: NewRefund, now: Date): Promise<PaymentRow> {
  const { merchantId, paymentId, amount } = values
  const theirs = and(eq(payments.id, paymentId), eq(payments.merchantId, merchantId))
  const left = sql`${payments.amountCaptured} - ${payments.amountRefunded}`
  const [taken] = await tx
    .update(payments)
    .set({ amountRefunded: sql`${payments.amountRefunded} + ${amount}`, updatedAt: now })
    .where(and(theirs, sql`${left} >= ${amount}`))
    .returning()
  if (taken) return taken
  const [payment] = await tx.select().from(payments).where(theirs)
  if (!payment) throw new AppError('not_found', `No such payment: ${paymentId}`)
  const { status, amountCaptured, amountRefunded } = payment
  const isThereNow = amountCaptured - amountRefunded >= amount // captured since the update
  if (isThereNow) return takeFromPayment(tx, values, now)
  if (amountCaptured === 0)
    throw new AppError('conflict', `A payment that is ${status} can't be refunded.`)
  const message = `Only ${amountCaptured - amountRefunded} is left to refund.`
  throw new AppError('refund_exceeds_captured', message, { param: 'amount' })
}

export const getRefund = getterOf(refunds, 'refund')

type Filter = Page & { status?: RefundStatus | undefined; paymentId?: string | undefined }

export function listRefunds(
  db: Db,
  merchantId: string,
  { status, paymentId, ...page }: Filter,
): Promise<List<RefundRow>> {
  const filters = [equals(refunds.status, status), equals(refunds.paymentId, paymentId)]
  return listRows(db, refunds, merchantId, page, filters)
}
