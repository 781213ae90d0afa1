import { commandDoneBy, findLate } from '../../core/lifecycles/lifecycle.ts'
import {
  type PayoutVerdict,
  type PayoutVerdictStatus,
  payoutLifecycle,
} from '../../core/lifecycles/payout.ts'
import { creditReturn, debitLate, releaseHold, settleHold } from '../../core/money/ledger.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import type { Db, Tx } from '../client.ts'
import { isPosted, postTransaction } from '../ledger/ledger.ts'
import { findRow, firstRef, markNeedsAttention, moveStatus } from '../lifecycle-steps.ts'
import { answerCommand, refuseCommand } from '../requests/commands.ts'
import { findEventDeliveries, insertEvent } from '../webhooks/events.ts'
import { type PayoutRow, toPayout } from './payouts.ts'
import { payouts } from './schema.ts'

/** The recorded outcome of a payout, with the deliveries of the emitted event. */
export type PayoutRecorded = Pick<PayoutRow, 'status' | 'failureCode'> & { deliveries: Delivery[] }

/**
 * Records that the payout is on its way, and refuses an open `cancel`, because the cancel comes too
 * late.
 */
export async function startPayout(
  db: Db,
  id: string,
  ref: string,
  now: Date,
): Promise<PayoutRecorded> {
  const change = {
    status: 'processing' as const,
    providerRef: firstRef(payouts, ref),
    updatedAt: now,
  }
  return db.transaction(async (tx) => {
    const moved = await moveStatus(tx, payouts, id, change)
    if (!moved) return recordedPayout(tx, id)
    await refuseCommand(tx, id, 'cancel', now)
    return told(tx, moved.row, now)
  })
}

/**
 * Settles a payout, books and records it, and answers its open command, all in one transaction. A
 * repeated call changes nothing and returns the first result again. A late completion does not
 * reopen the payout: the completion is booked, and the payout is marked for an operator.
 */
export async function settlePayout(
  db: Db,
  id: string,
  { status, failureCode, ref }: PayoutVerdict & { ref: string | null },
  now: Date,
): Promise<PayoutRecorded> {
  const settled = { needsAttention: false, nextSweepAt: null, updatedAt: now }
  const change = { status, failureCode, providerRef: firstRef(payouts, ref), ...settled }
  return db.transaction(async (tx) => {
    const moved = await moveStatus(tx, payouts, id, change)
    if (!moved) return settledBefore(tx, id, status, now)
    const { from, row: payout } = moved
    const done = commandDoneBy(payoutLifecycle, status)
    await answerCommand(tx, id, { done, amount: payout.amount, ofAmount: payout.amount }, now)
    const recorded = await told(tx, payout, now)
    const release = from === 'completed' ? creditReturn : releaseHold
    const [type, book] = {
      completed: ['payout_settlement', settleHold] as const,
      failed: ['payout_failure', release] as const,
      canceled: ['payout_cancel', release] as const,
    }[status]
    await postTransaction(tx, payout, type, book(payout.amount), now)
    return recorded
  })
}

async function told(tx: Tx, payout: PayoutRow, now: Date): Promise<PayoutRecorded> {
  const { merchantId, status, failureCode } = payout
  if (status === 'pending') throw new Error(`Payout ${payout.id} has not moved`)
  const event = { type: `payout.${status}` as const, merchantId, object: toPayout(payout) }
  return { status, failureCode, deliveries: (await insertEvent(tx, event, now)).deliveries }
}

/**
 * Handles a verdict that moved nothing: this call is a retry, or another call recorded an outcome
 * first.
 */
async function settledBefore(tx: Tx, id: string, verdict: PayoutVerdictStatus, now: Date) {
  const payout = await findRow(tx, payouts, id)
  const late = findLate(payoutLifecycle, verdict, payout.status)
  if (late && !(await isPosted(tx, id, late.booked))) {
    await markNeedsAttention(tx, payouts, id, now)
    await postTransaction(tx, payout, 'late_payout', debitLate(payout.amount), now)
  }
  return recordedPayout(tx, id)
}

/** Reads the recorded outcome of a payout that has left status `pending`. */
export async function recordedPayout(tx: Db | Tx, id: string): Promise<PayoutRecorded> {
  const { status, failureCode } = await findRow(tx, payouts, id)
  if (status === 'pending') throw new Error(`Payout ${id} should have moved`)
  const deliveries = (await findEventDeliveries(tx, `payout.${status}`, id)) ?? []
  return { status, failureCode, deliveries }
}
