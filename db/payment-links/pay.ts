import { and, eq, gt, sql } from 'drizzle-orm'
import { AppError } from '../../core/errors.ts'
import type { Db, Tx } from '../client.ts'
import { findPaymentOf, insertPayment, type PaymentRow, type Source } from '../payments/payments.ts'
import { payments } from '../payments/schema.ts'
import { lockLinkToPay } from './payment-links.ts'

/**
 * Inserts a payment for a payment link, as `insertPayment` does. Throws AppError when the link
 * can't be paid, or when another payment for it is in progress.
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
  return insertPayment(tx, values, now)
}

const FAILURES_MAX = 20
const FAILURES_WINDOW_MS = 60 * 60_000

/** Refuses a payment after too many failures, so that nobody can use a link to try out cards. */
async function checkFailures(tx: Tx, linkId: string, now: Date): Promise<void> {
  const since = new Date(now.getTime() - FAILURES_WINDOW_MS)
  const recent = and(eq(payments.paymentLinkId, linkId), gt(payments.createdAt, since))
  if ((await tx.$count(payments, and(recent, eq(payments.status, 'failed')))) < FAILURES_MAX) return
  const message = 'Too many payments for this link have failed. Try again in an hour.'
  throw new AppError('rate_limited', message, { headers: { 'Retry-After': '3600' } })
}

/** Finds the newest payment of a payment link, to show it to the payers. */
export async function findLastPaymentOf(db: Db, linkId: string): Promise<PaymentRow | undefined> {
  const [row] = await db
    .select()
    .from(payments)
    .where(eq(payments.paymentLinkId, linkId))
    .orderBy(sql`${payments.createdAt} desc nulls last`, sql`${payments.id} desc nulls last`)
    .limit(1)
  return row
}
