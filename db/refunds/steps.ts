import { eq, sql } from 'drizzle-orm'
import { findLate } from '../../core/lifecycles/lifecycle.ts'
import { type RefundVerdict, refundLifecycle } from '../../core/lifecycles/refund.ts'
import { creditReturn, debitLate, releaseHold, settleHold } from '../../core/money/ledger.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import type { Db, Tx } from '../client.ts'
import { isPosted, postTransaction } from '../ledger/ledger.ts'
import { balanceTransactions } from '../ledger/schema.ts'
import { findRow, firstRef, markNeedsAttention, moveStatus } from '../lifecycle-steps.ts'
import { payableOf } from '../payments/payables.ts'
import { payments } from '../payments/schema.ts'
import { findEventDeliveries, insertEvent } from '../webhooks/events.ts'
import { type RefundRow, toRefund } from './refunds.ts'
import { refunds } from './schema.ts'

/** The recorded outcome of a refund, with the deliveries of the emitted event. */
type RefundRecorded = Pick<RefundRow, 'status' | 'failureCode'> & { deliveries: Delivery[] }

/**
 * Settles a refund, books and records it, all in one transaction. A repeated call changes nothing
 * and returns the first result again. A late success does not reopen the refund: the success is
 * booked, and the payment is marked for an operator.
 */
export async function settleRefund(
  db: Db,
  id: string,
  { status, failureCode, ref }: RefundVerdict & { ref: string | null },
  now: Date,
): Promise<RefundRecorded> {
  const recorded = { nextSweepAt: null, updatedAt: now }
  const to = { status, failureCode, providerRef: firstRef(refunds, ref), ...recorded }
  return db.transaction(async (tx) => {
    const moved = await moveStatus(tx, refunds, id, to)
    if (!moved) return settledBefore(tx, id, status, now)
    const { from, row: refund } = moved
    const { merchantId, amount } = refund
    if (status === 'failed') await giveBackAgain(tx, refund.paymentId, now)
    const event = { type: `refund.${status}` as const, merchantId, object: toRefund(refund) }
    const { deliveries } = await insertEvent(tx, event, now)
    const release = from === 'pending' ? releaseHold : creditReturn
    if (status === 'succeeded')
      await postTransaction(tx, refund, 'refund_settlement', settleHold(amount), now)
    else await postTransaction(tx, refund, 'refund_failure', release(amount), now)
    return { status, failureCode, deliveries }
  })
}

/**
 * Makes the amount of a failed refund refundable again. If the order is canceled, its saga makes
 * another refund. The payment is then marked for an operator, because that refund may well come
 * back too.
 */
async function giveBackAgain(tx: Tx, paymentId: string, now: Date): Promise<void> {
  const payable = payableOf(await countRefunded(tx, paymentId, now))
  if (payable && (await payable.giveBack(tx, payable.id, now)))
    await markNeedsAttention(tx, payments, paymentId, now)
}

/**
 * Recomputes how much of the payment is refunded: the refunds that did not fail, and the failed
 * refunds that reached the payer after all. Locks the row of the payment before it sums the
 * refunds.
 */
async function countRefunded(tx: Tx, paymentId: string, now: Date) {
  const thePayment = eq(payments.id, paymentId)
  await tx.select({ id: payments.id }).from(payments).where(thePayment).for('no key update')
  const counted = sql`(
    select coalesce(sum(amount), 0) from ${refunds} where payment_id = ${paymentId} and (
      status <> 'failed' or exists (
        select from ${balanceTransactions} where source_id = refunds.id and type = 'late_refund')))`
  const [payment] = await tx
    .update(payments)
    .set({ amountRefunded: sql`least(${payments.amountCaptured}, ${counted})`, updatedAt: now })
    .where(thePayment)
    .returning({ orderId: payments.orderId, paymentLinkId: payments.paymentLinkId })
  if (!payment) throw new Error(`No such payment: ${paymentId}`)
  return payment
}

/**
 * Handles a verdict that moved nothing: this call is a retry, or another call recorded an outcome
 * first.
 */
async function settledBefore(tx: Tx, id: string, verdict: RefundVerdict['status'], now: Date) {
  const refund = await findRow(tx, refunds, id)
  const late = findLate(refundLifecycle, verdict, refund.status)
  if (late && !(await isPosted(tx, id, late.booked))) {
    await markNeedsAttention(tx, payments, refund.paymentId, now)
    await postTransaction(tx, refund, 'late_refund', debitLate(refund.amount), now)
    await countRefunded(tx, refund.paymentId, now)
  }
  return recordedRefund(tx, id)
}

/** Reads the recorded outcome of a refund that has ended. */
export async function recordedRefund(db: Db | Tx, id: string): Promise<RefundRecorded> {
  const { status, failureCode } = await findRow(db, refunds, id)
  if (status === 'pending') throw new Error(`Refund ${id} should have moved`)
  const deliveries = (await findEventDeliveries(db, `refund.${status}`, id)) ?? []
  return { status, failureCode, deliveries }
}
