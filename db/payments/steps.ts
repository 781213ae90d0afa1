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

/**
 * As `markChargeSent`, of a capture. Returns the amount, which is that of the first attempt: no other
 * command, and no other run, can make it another.
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

/** A refund that is to be started, with the deliveries of the event that told of it. */
export type LateRefund = Pick<
  RefundRow,
  'id' | 'merchantId' | 'paymentId' | 'amount' | 'currency'
> & { deliveries: Delivery[] }

/** The order or payment link that a payment is for, and whether this payment has paid it. */
export type Payable = { id: string; isPaid: boolean }

/**
 * What a payment has become, and the deliveries of the event that told of it. `refund` is that of a
 * success that came too late.
 */
export type Recorded = Pick<PaymentRow, 'status' | 'failureCode'> & {
  deliveries: Delivery[]
  refund?: LateRefund
  payable?: Payable
}

/** Who brings the news from outside doesn't say of how much a success was. */
const asked = sql<number>`coalesce(${payments.captureAmount}, ${payments.amount})`

/**
 * Records that the funds are reserved. A repeated call changes nothing and returns the first result
 * again. A payment that was settled meanwhile stays so, and its status says it.
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
 * repeated call changes nothing and returns the first result again. A success that comes too late
 * reopens nothing: it is refunded, and marked for an operator.
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
        nextSweepAt: null, // whoever settles it has taken it up, whatever the sweep thought meanwhile
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
    // Last, as it locks the merchant's account.
    if (status === 'succeeded') await bookPayment(tx, payment, feeBps, now)
    return {
      status,
      failureCode,
      deliveries: [...deliveries, ...(paid ?? [])],
      ...toPaid(payment, paid !== null),
    }
  })
}

/** The deliveries of what tells that its order or link is paid; null when it has paid neither. */
async function markPaid(tx: Tx, payment: PaymentRow, now: Date): Promise<Delivery[] | null> {
  const payable = payableOf(payment)
  if (!payable) return null
  const paid = await payable.markPaid(tx, payable.id, payment.id, now)
  const goesBack = !paid && (await payable.giveBack(tx, payable.id, now))
  if (!paid && !goesBack) await markNeedsAttention(tx, payments, payment.id, now) // nothing wants this money
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
 * A success of a payment that has ended otherwise: the money came in, is held, and goes back. Null
 * where that is on its way already.
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

/** Nothing moved: either this is our own retry, or it was recorded another way. */
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

/** What this payment has paid, if it has. */
async function paidBefore(tx: Tx, payment: PaymentRow) {
  const payable = payableOf(payment)
  return payable && (await payable.isPaidBy(tx, payable.id, payment.id)) ? payable : null
}
