import { eq, sql } from 'drizzle-orm'
import type { Delivery } from '../core/delivery.ts'
import { AppError } from '../core/errors.ts'
import {
  type BalanceTransactionType,
  type Booking,
  creditReturn,
  debitLate,
  releaseHold,
  settleHold,
} from '../core/ledger.ts'
import { type RefundStatus, type RefundVerdict, refundMoves } from '../core/refund.ts'
import type { Db, Tx } from './client.ts'
import { findEventDeliveries, insertEvent } from './events.ts'
import { isPosted, postTransaction } from './ledger.ts'
import { moveStatus } from './moves.ts'
import { markNeedsAttention } from './payment-steps.ts'
import { type RefundRow, toRefund } from './refunds.ts'
import { payments } from './schema.ts'
import { refunds } from './transfer-schema.ts'

/** For a workflow, which knows whose it is. */
export async function findRefund(db: Db | Tx, id: string): Promise<RefundRow> {
  const [row] = await db.select().from(refunds).where(eq(refunds.id, id))
  if (!row) throw new AppError('not_found', `No such refund: ${id}`)
  return row
}

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
  const providerRef = sql<string>`coalesce(${refunds.providerRef}, ${ref})`
  const change = { status, failureCode, providerRef, nextSweepAt: null, updatedAt: now }
  return db.transaction(async (tx) => {
    const moved = await moveStatus(tx, refunds, refundMoves, id, change)
    if (!moved) return settledBefore(tx, id, status, now)
    const { from, row: refund } = moved
    if (status === 'failed') await giveBack(tx, refund, now)
    const { merchantId } = refund
    const event = { type: `refund.${status}` as const, merchantId, object: toRefund(refund) }
    const { deliveries } = await insertEvent(tx, event, now)
    if (status === 'succeeded') await book(tx, refund, 'refund_settlement', settleHold, now)
    else
      await book(tx, refund, 'refund_failure', from === 'pending' ? releaseHold : creditReturn, now)
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
  const refund = await findRefund(tx, id)
  const { status, paymentId } = refund
  const isLate = status === 'failed' && wanted === 'succeeded'
  if (isLate && !(await isPosted(tx, id, ['refund_settlement', 'late_refund']))) {
    await markNeedsAttention(tx, paymentId, now)
    await book(tx, refund, 'late_refund', debitLate, now)
  }
  return recordedRefund(tx, id)
}

/** Of a refund that has ended. */
export async function recordedRefund(db: Db | Tx, id: string): Promise<RefundRecorded> {
  const { status, failureCode } = await findRefund(db, id)
  if (status === 'pending') throw new Error(`Refund ${id} should have moved`)
  const deliveries = (await findEventDeliveries(db, `refund.${status}`, id)) ?? []
  return { status, failureCode, deliveries }
}

async function book(
  tx: Tx,
  { id: sourceId, merchantId, currency, amount }: RefundRow,
  type: BalanceTransactionType,
  booking: (amount: number) => Booking,
  now: Date,
): Promise<void> {
  await postTransaction(tx, { merchantId, type, sourceId, currency }, booking(amount), now)
}
