import { and, eq, inArray, sql } from 'drizzle-orm'
import { commandDoneBy } from '../../core/lifecycles/lifecycle.ts'
import { paymentLifecycle, type Verdict } from '../../core/lifecycles/payment.ts'
import { statusesBefore } from '../../core/lifecycles/transitions.ts'
import { creditPayment, holdLatePayment } from '../../core/money/ledger.ts'
import { feeOf } from '../../core/money/money.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import type { Db, Tx } from '../client.ts'
import { postTransaction } from '../ledger/ledger.ts'
import { findRow, markNeedsAttention } from '../lifecycle-steps.ts'
import { insertLateRefund, type RefundRow } from '../refunds/refunds.ts'
import { answerCommand } from '../requests/commands.ts'
import { findEventDeliveries, insertEvent } from '../webhooks/events.ts'
import { payableOf } from './payables.ts'
import { type PaymentRow, toPayment } from './payments.ts'
import { payments } from './schema.ts'

/**
 * Records that attempt `number` of the charge is about to be sent. A worker that continues after a
 * crash then looks the charge up before it sends again. Throws when `number` is not the next one,
 * because another worker has just sent that attempt.
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

/**
 * Does for a capture what `markChargeSent` does for a charge. Returns the amount of the first
 * attempt: no other command and no other run can change that amount.
 */
export async function markCaptureSent(
  db: Db,
  id: string,
  { number, amount }: { number: number; amount: number },
  now: Date,
): Promise<number> {
  const [sent] = await db
    .update(payments)
    .set({
      captureAttempt: number,
      captureSentAt: now,
      captureAmount: sql`coalesce(${payments.captureAmount}, least(${amount}::bigint, ${payments.amount}))`,
    })
    .where(
      and(
        eq(payments.id, id),
        eq(payments.status, 'authorized'),
        eq(payments.captureAttempt, number - 1),
      ),
    )
    .returning({ amount: payments.captureAmount })
  if (!sent?.amount) throw new Error(`Attempt ${number} to capture ${id} was sent already`)
  return sent.amount
}

/**
 * The refund of a late success, which a workflow still has to start, with the deliveries of the
 * emitted event.
 */
export type LateRefund = Pick<
  RefundRow,
  'id' | 'merchantId' | 'paymentId' | 'amount' | 'currency'
> & { deliveries: Delivery[] }

/** The order or payment link that a payment is for, and whether this payment has paid it. */
export type Payable = { id: string; isPaid: boolean }

/**
 * The recorded outcome of a payment, with the deliveries of the emitted events. `refund` is the
 * refund of a late success.
 */
export type Recorded = Pick<PaymentRow, 'status' | 'failureCode'> & {
  deliveries: Delivery[]
  refund?: LateRefund
  payable?: Payable
}

/**
 * A verdict from outside, such as an operator's, has no amount. The requested amount then counts as
 * captured.
 */
const asked = sql<number>`coalesce(${payments.captureAmount}, ${payments.amount})`

/**
 * Records that the funds are reserved. A repeated call changes nothing and returns the first result
 * again. A payment that was settled meanwhile stays settled, and the returned `status` says so.
 */
export async function authorizePayment(
  db: Db,
  id: string,
  now: Date,
): Promise<Recorded & Pick<PaymentRow, 'authorizedAt' | 'amount'>> {
  return db.transaction(async (tx) => {
    const [payment] = await tx
      .update(payments)
      .set({ status: 'authorized', authorizedAt: now, updatedAt: now })
      .where(
        and(
          eq(payments.id, id),
          inArray(payments.status, statusesBefore(paymentLifecycle.moves, 'authorized')),
        ),
      )
      .returning()
    if (!payment) return recordedBefore(tx, id)
    const { merchantId, status, failureCode, authorizedAt, amount } = payment
    const event = { type: 'payment.authorized' as const, merchantId, object: toPayment(payment) }
    const { deliveries } = await insertEvent(tx, event, now)
    return { status, failureCode, authorizedAt, amount, deliveries }
  })
}

/**
 * Settles a payment, books and records it, and answers its open command, all in one transaction. A
 * repeated call changes nothing and returns the first result again. A late success does not reopen
 * the payment: the money is refunded, and the payment is marked for an operator.
 */
export async function settlePayment(
  db: Db,
  id: string,
  verdict: Verdict,
  options: { feeBps: number; now: Date },
): Promise<Recorded> {
  const { status, failureCode, amountCaptured } = verdict
  const { now, feeBps } = options
  return db.transaction(async (tx) => {
    const [payment] = await tx
      .update(payments)
      .set({
        status,
        failureCode,
        amountCaptured: status === 'succeeded' ? (amountCaptured ?? asked) : 0,
        needsAttention: false,
        // The workflow that settles the payment has claimed it, even if the payment was requeued
        // meanwhile.
        nextSweepAt: null,
        updatedAt: now,
      })
      .where(
        and(
          eq(payments.id, id),
          inArray(payments.status, statusesBefore(paymentLifecycle.moves, status)),
        ),
      )
      .returning()
    if (!payment) return settledBefore(tx, id, verdict, now)

    const { amount: ofAmount, amountCaptured: amount } = payment
    await answerCommand(
      tx,
      id,
      { done: commandDoneBy(paymentLifecycle, status), amount, ofAmount },
      now,
    )
    const { merchantId } = payment
    const event = { type: `payment.${status}` as const, merchantId, object: toPayment(payment) }
    const { deliveries } = await insertEvent(tx, event, now)
    const paid = status === 'succeeded' ? await markPaid(tx, payment, now) : null
    // The booking comes last, because it locks the accounts of the merchant.
    if (status === 'succeeded') await bookPayment(tx, payment, feeBps, now)
    return {
      status,
      failureCode,
      deliveries: [...deliveries, ...(paid ?? [])],
      ...toPaid(payment, paid !== null),
    }
  })
}

/**
 * Marks the order or payment link of a payment as paid. Returns the deliveries of the emitted
 * event, or null if the payment has paid neither.
 */
async function markPaid(tx: Tx, payment: PaymentRow, now: Date): Promise<Delivery[] | null> {
  const payable = payableOf(payment)
  if (!payable) return null
  const paid = await payable.markPaid(tx, payable.id, payment.id, now)
  const goesBack = !paid && (await payable.giveBack(tx, payable.id, now))
  // The payable neither keeps this money nor gives it back, so an operator has to look.
  if (!paid && !goesBack) await markNeedsAttention(tx, payments, payment.id, now)
  return paid
}

function toPaid(payment: PaymentRow, isPaid: boolean) {
  const payable = payableOf(payment)
  return payable ? { payable: { id: payable.id, isPaid } } : {}
}

async function bookPayment(tx: Tx, payment: PaymentRow, feeBps: number, now: Date) {
  const { amountCaptured } = payment
  const book = creditPayment(amountCaptured, feeOf(amountCaptured, feeBps))
  await postTransaction(tx, payment, 'payment', book, now)
}

async function settledBefore(tx: Tx, id: string, verdict: Verdict, now: Date): Promise<Recorded> {
  const refund = verdict.status === 'succeeded' ? await refundLate(tx, id, verdict, now) : null
  const { authorizedAt: _, amount: __, ...before } = await recordedBefore(tx, id)
  return { ...before, ...(refund && { refund }) }
}

/**
 * Handles a late success of a payment that failed or was canceled: the money came in, is held, and
 * goes back. Returns null if the refund of that money exists already.
 */
async function refundLate(tx: Tx, id: string, { amountCaptured }: Verdict, now: Date) {
  const amount = amountCaptured ?? asked
  const [late] = await tx
    .update(payments)
    .set({ amountCaptured: amount, amountRefunded: amount, needsAttention: true, updatedAt: now })
    .where(
      and(
        eq(payments.id, id),
        inArray(payments.status, ['failed', 'canceled']),
        eq(payments.amountCaptured, 0),
      ),
    )
    .returning()
  if (!late) return null
  const { refund, deliveries } = await insertLateRefund(tx, late, now)
  await postTransaction(tx, late, 'late_payment', holdLatePayment(refund.amount), now)
  const { id: refundId, merchantId, paymentId, amount: ofRefund, currency } = refund
  return { id: refundId, merchantId, paymentId, amount: ofRefund, currency, deliveries }
}

/**
 * Reads the recorded outcome after nothing moved: this call is a retry, or another call recorded an
 * outcome first.
 */
async function recordedBefore(tx: Tx, id: string) {
  const payment = await findRow(tx, payments, id)
  const { status, failureCode, authorizedAt, amount } = payment
  if (status === 'pending') throw new Error(`Payment ${id} should have moved`)
  const deliveries = (await findEventDeliveries(tx, `payment.${status}`, id)) ?? []
  const paid = status === 'succeeded' ? await paidBefore(tx, payment) : null
  const told = paid && (await findEventDeliveries(tx, paid.paidEvent, paid.id))
  return {
    status,
    failureCode,
    authorizedAt,
    amount,
    deliveries: [...deliveries, ...(told ?? [])],
    ...toPaid(payment, paid !== null),
  }
}

/** Returns the payable that this payment has paid, or null. */
async function paidBefore(tx: Tx, payment: PaymentRow) {
  const payable = payableOf(payment)
  return payable && (await payable.isPaidBy(tx, payable.id, payment.id)) ? payable : null
}
