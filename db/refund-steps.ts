import { eq, sql } from 'drizzle-orm'
import type { Delivery } from '../core/delivery.ts'
import { creditReturn, debitLate, releaseHold, settleHold } from '../core/ledger.ts'
import { type RefundStatus, type RefundVerdict, refundMoves } from '../core/refund.ts'
import type { Db, Tx } from './client.ts'
import { findEventDeliveries, insertEvent } from './events.ts'
import { isPosted, postTransaction } from './ledger.ts'
import { findRow, firstRef, markNeedsAttention, moveStatus } from './lifecycle-steps.ts'
import { type RefundRow, toRefund } from './refunds.ts'
import { payments } from './schema.ts'
import { refunds } from './transfer-schema.ts'

/** What a refund has become, and the deliveries of the event that told of it. */
export type RefundRecorded = Pick<RefundRow, 'status' | 'failureCode'> & { deliveries: Delivery[] }

/**
 * Settles a refund, books and records it, all in one transaction. A repeated call changes nothing and
 * returns the first result again. A success that comes too late reopens nothing: it is booked, and
 * the payment marked for an operator.
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
    const moved = await moveStatus(tx, refunds, refundMoves, id, to)
    if (!moved) return settledBefore(tx, id, status, now)
    const { from, row: refund } = moved
    const { merchantId, amount } = refund
    if (status === 'failed') await giveBack(tx, refund, now)
    const event = { type: `refund.${status}` as const, merchantId, object: toRefund(refund) }
    const { deliveries } = await insertEvent(tx, event, now)
    const release = from === 'pending' ? releaseHold : creditReturn
    if (status === 'succeeded')
      await postTransaction(tx, refund, 'refund_settlement', settleHold(amount), now)
    else await postTransaction(tx, refund, 'refund_failure', release(amount), now)
    return { status, failureCode, deliveries }
  })
}

/** It can be refunded again. */
async function giveBack(tx: Tx, { paymentId, amount }: RefundRow, now: Date): Promise<void> {
  await tx
    .update(payments)
    .set({ amountRefunded: sql`${payments.amountRefunded} - ${amount}`, updatedAt: now })
    .where(eq(payments.id, paymentId))
}

/** Nothing moved: either this is our own retry, or it was recorded another way. */
async function settledBefore(tx: Tx, id: string, wanted: RefundStatus, now: Date) {
  const refund = await findRow(tx, refunds, id)
  const isLate = refund.status === 'failed' && wanted === 'succeeded'
  if (isLate && !(await isPosted(tx, id, ['refund_settlement', 'late_refund']))) {
    await markNeedsAttention(tx, payments, refund.paymentId, now)
    await postTransaction(tx, refund, 'late_refund', debitLate(refund.amount), now)
  }
  return recordedRefund(tx, id)
}

/** Of a refund that has ended. */
export async function recordedRefund(db: Db | Tx, id: string): Promise<RefundRecorded> {
  const { status, failureCode } = await findRow(db, refunds, id)
  if (status === 'pending') throw new Error(`Refund ${id} should have moved`)
  const deliveries = (await findEventDeliveries(db, `refund.${status}`, id)) ?? []
  return { status, failureCode, deliveries }
}
