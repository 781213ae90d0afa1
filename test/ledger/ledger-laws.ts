import { eq } from 'drizzle-orm'
import { balanceSign, type MerchantAccount } from '../../core/money/ledger.ts'
import type { Db } from '../../db/client.ts'
import { balanceTransactions, ledgerAccounts, ledgerPostings } from '../../db/ledger/schema.ts'
import { orders, payments } from '../../db/payments/schema.ts'
import { payouts } from '../../db/payouts/schema.ts'
import { refunds } from '../../db/refunds/schema.ts'

type Object = { id: string; currency: string; amount: number; status: string }

/** Each status allows these lists of bookings. Any other list means a sum was booked twice. */
const refundBookings: Record<string, string[]> = {
  pending: ['refund'],
  succeeded: ['refund refund_settlement'],
  failed: [
    'refund refund_failure',
    'refund refund_failure refund_settlement', // the refund had arrived, and came back
    'late_refund refund refund_failure', // the refund arrived after it had failed
  ],
}
const payoutBookings: Record<string, string[]> = {
  pending: ['payout'],
  processing: ['payout'],
  completed: ['payout payout_settlement'],
  failed: [
    'payout payout_failure',
    'payout payout_failure payout_settlement',
    'late_payout payout payout_failure',
  ],
  canceled: ['payout payout_cancel', 'late_payout payout payout_cancel'],
}

/**
 * Checks what holds of a merchant's money at any moment, whatever was done, by whom, and how often.
 * Returns all posted sums by currency and account. `clearing` is what the provider owes Remit.
 */
export async function expectLawful(db: Db, merchantId: string): Promise<Record<string, number>> {
  const accounts = await db
    .select()
    .from(ledgerAccounts)
    .where(eq(ledgerAccounts.merchantId, merchantId))
  const posted = await db
    .select()
    .from(balanceTransactions)
    .innerJoin(ledgerPostings, eq(ledgerPostings.transactionId, balanceTransactions.id))
    .where(eq(balanceTransactions.merchantId, merchantId))
  const paid = await db.select().from(payments).where(eq(payments.merchantId, merchantId))
  const refunded = await db.select().from(refunds).where(eq(refunds.merchantId, merchantId))
  const paidOut = await db.select().from(payouts).where(eq(payouts.merchantId, merchantId))

  const perTransaction: Sums = {}
  const perAccount: Sums = {}
  const balances: Sums = {}
  const types = new Map<string, Set<string>>()
  let toppedUp = 0
  for (const { balance_transactions: transaction, ledger_postings: posting } of posted) {
    const { id, currency, sourceId, type } = transaction
    add(perTransaction, id, posting.amount)
    add(perAccount, `${currency} ${posting.account}`, posting.amount)
    add(balances, `${currency} ${posting.account}`, balanceSign(posting.account) * posting.amount)
    types.set(sourceId, (types.get(sourceId) ?? new Set()).add(type))
    if (type === 'topup' && posting.account === 'clearing') toppedUp -= posting.amount
  }
  const bookingsOf = ({ id }: { id: string }) => [...(types.get(id) ?? [])].sort().join(' ')

  expect(Object.entries(perTransaction).filter(([, amount]) => amount !== 0)).toEqual([])
  for (const { account, currency, balance } of accounts) {
    const key = `${currency} ${account}`
    expect([key, balance]).toEqual([key, balances[key] ?? 0])
    expect(balance).toBeGreaterThanOrEqual(0)
  }
  for (const currency of new Set(accounts.map((one) => one.currency))) {
    const of = (account: MerchantAccount) => balances[`${currency} ${account}`] ?? 0
    expect(Math.min(of('available'), of('receivable'))).toBe(0) // incoming money repays debt first
    const open = (one: Object) =>
      one.currency === currency && ['pending', 'processing'].includes(one.status)
    const held = [...refunded, ...paidOut].filter(open)
    expect(of('held')).toBe(sum(held.map(({ amount }) => amount)))
  }

  const isLate = new Set<string>() // the payments with a late success
  for (const payment of paid) {
    const { status, amountCaptured, amountRefunded } = payment
    const booked = bookingsOf(payment)
    if (booked === 'late_payment') isLate.add(payment.id)
    const closed = amountCaptured > 0 ? 'late_payment' : ''
    expect(booked).toBe(status === 'succeeded' ? 'payment' : closed)
    const theirs = refunded.filter((one) => one.paymentId === payment.id)
    const stands = theirs.filter((one) => one.status !== 'failed')
    expect(sum(stands.map(({ amount }) => amount))).toBeLessThanOrEqual(amountCaptured)
    const reached = theirs.filter(
      (one) => one.status !== 'failed' || bookingsOf(one).includes('late_refund'),
    )
    const counted = sum(reached.map(({ amount }) => amount))
    expect(amountRefunded).toBe(Math.min(counted, amountCaptured))
  }
  for (const refund of refunded) {
    const booked = bookingsOf(refund)
    const heldAtOnce = isLate.has(refund.paymentId) && !/\brefund\b(?!_)/.test(booked)
    const all = heldAtOnce ? sorted(`refund ${booked}`) : booked
    expect(refundBookings[refund.status]).toContain(all)
  }
  for (const payout of paidOut) expect(payoutBookings[payout.status]).toContain(bookingsOf(payout))

  const ordered = await db.select().from(orders).where(eq(orders.merchantId, merchantId))
  for (const order of ordered) expectPaidOrUndone(order, paid)

  const left = [...refunded, ...paidOut].filter(
    (one) => ['succeeded', 'completed'].includes(one.status) || /\blate_/.test(bookingsOf(one)),
  )
  const moved = sum(paid.map(({ amountCaptured }) => amountCaptured)) + toppedUp
  const clearing = Object.entries(perAccount).filter(([key]) => key.endsWith(' clearing'))
  const owedToUs = 0 - sum(clearing.map(([, amount]) => amount))
  expect(owedToUs).toBe(moved - sum(left.map(({ amount }) => amount)))
  return perAccount
}

/**
 * Checks that an order has at most one live payment, and that a canceled order keeps no money once
 * its compensation has ended.
 */
function expectPaidOrUndone(
  order: typeof orders.$inferSelect,
  paid: (typeof payments.$inferSelect)[],
) {
  const { id, status, paymentId, isCompensating } = order
  const theirs = paid.filter(({ orderId }) => orderId === id)
  const live = theirs.filter((one) => one.status !== 'failed' && one.status !== 'canceled')
  expect(live.length).toBeLessThanOrEqual(1)
  const isPaid = live[0]?.status === 'succeeded'
  if (status !== 'canceled') expect(['paid', 'fulfilled'].includes(status)).toBe(isPaid)
  if (status !== 'canceled') expect(paymentId).toBe(isPaid ? live[0]?.id : null)
  if (status !== 'canceled' || isCompensating) return
  expect(live.length > 0).toBe(isPaid)
  const kept = theirs.filter((one) => one.amountRefunded < one.amountCaptured)
  expect([order, kept]).toEqual([order, []])
}

function sorted(words: string): string {
  return words.split(' ').filter(Boolean).sort().join(' ')
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

type Sums = Record<string, number>

function add(to: Sums, key: string, amount: number): void {
  to[key] = (to[key] ?? 0) + amount
}
