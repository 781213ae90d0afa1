import type { BalanceTransactionType } from '../core/ledger.ts'
import { type PaymentStatus, type PaymentVerdict, paymentMoves } from '../core/payment.ts'
import { type PayoutStatus, type PayoutVerdictStatus, payoutMoves } from '../core/payout.ts'
import { type RefundStatus, refundMoves } from '../core/refund.ts'

/** What a merchant, a worker or an operator does to the money, by names in place of ids. */
export type Op =
  | { do: 'pay'; name: string; merchant: number; currency: string; amount: number }
  | { do: 'authorize'; name: string }
  | { do: 'settlePayment'; name: string; verdict: PaymentVerdict; amount: number }
  | { do: 'refund'; name: string; payment: string; amount: number }
  | { do: 'settleRefund'; name: string; verdict: 'succeeded' | 'failed' }
  | { do: 'payout'; name: string; merchant: number; currency: string; amount: number }
  | { do: 'startPayout'; name: string }
  | { do: 'settlePayout'; name: string; verdict: PayoutVerdictStatus }
  | { do: 'topup'; name: string; merchant: number; currency: string; amount: number }

type Sums = Record<'available' | 'held' | 'receivable' | 'clearing' | 'fees', number>
type Owned = { owner: string; amount: number } // owner: a merchant and a currency, as balances have it

/** All that is to be seen of the money of a history's merchants. */
export type State = {
  balances: Record<string, Sums>
  payments: Record<
    string,
    Owned & { status: PaymentStatus; captured: number; refunded: number; attention: boolean }
  >
  refunds: Record<string, Owned & { payment: string; status: RefundStatus }>
  payouts: Record<string, Owned & { status: PayoutStatus; attention: boolean }>
  booked: Record<string, true>
  told: Record<string, true>
}

export const noSums: Sums = { available: 0, held: 0, receivable: 0, clearing: 0, fees: 0 }
export const ownerOf = (merchant: number, currency: string) => `${merchant} ${currency}`
export const lateRefundOf = (payment: string) => `late ${payment}`

export function emptyState(owners: string[]): State {
  const balances = Object.fromEntries(owners.map((owner) => [owner, { ...noSums }]))
  return { balances, payments: {}, refunds: {}, payouts: {}, booked: {}, told: {} }
}

/**
 * What should come of it, said a second time and without any SQL: returns what the caller is told, a
 * status or the code of a refusal. `bps` is the platform's fee.
 */
export function apply(state: State, op: Op, bps: number): string {
  const { balances, payments, refunds, payouts } = state
  const sums = (owner: string) => balances[owner] ?? fault(`No such owner: ${owner}`)
  const of = <T>(all: Record<string, T>) => all[op.name] ?? fault(`No such thing: ${op.name}`)
  const tell = (name: string, type: string) => {
    state.told[`${name} ${type}`] = true
  }
  const isBooked = (type: BalanceTransactionType) => `${op.name} ${type}` in state.booked
  const mark = (name: string, type: BalanceTransactionType) => {
    state.booked[`${name} ${type}`] = true
  }

  /** Those that did not fail, and those that reached the payer all the same. */
  const refundedOf = (payment: string) => {
    const counts = ([name, one]: [string, (typeof refunds)[string]]) =>
      one?.payment === payment && (one.status !== 'failed' || `${name} late_refund` in state.booked)
    const all = Object.entries(refunds).filter(counts)
    const sum = all.reduce((total, [, one]) => total + one.amount, 0)
    return Math.min(sum, payments[payment]?.captured ?? 0)
  }

  switch (op.do) {
    case 'pay': {
      const { name, amount } = op
      const owner = ownerOf(op.merchant, op.currency)
      const rest = { captured: 0, refunded: 0, attention: false }
      payments[name] = { owner, amount, status: 'pending', ...rest }
      tell(name, 'payment.created')
      return 'pending'
    }
    case 'authorize': {
      const payment = of(payments)
      if (payment.status !== 'pending') return payment.status
      tell(op.name, 'payment.authorized')
      payment.status = 'authorized'
      return payment.status
    }
    case 'settlePayment': {
      const { name, verdict, amount } = op
      const payment = of(payments)
      const { owner } = payment
      if (paymentMoves[payment.status].includes(verdict)) {
        payment.status = verdict
        tell(name, `payment.${verdict}`)
        if (verdict !== 'succeeded') return verdict
        payment.captured = amount
        const fee = Math.round((amount * bps) / 10_000)
        sums(owner).fees += fee
        sums(owner).clearing -= amount
        credit(sums(owner), amount - fee)
        mark(name, 'payment')
        return verdict
      }
      const isLate = payment.status === 'failed' || payment.status === 'canceled'
      if (verdict !== 'succeeded' || !isLate || payment.captured > 0) return payment.status
      Object.assign(payment, { captured: amount, refunded: amount, attention: true })
      const refund = lateRefundOf(name)
      refunds[refund] = { owner, payment: name, amount, status: 'pending' }
      tell(refund, 'refund.created')
      mark(name, 'late_payment')
      sums(owner).clearing -= amount
      sums(owner).held += amount
      return payment.status
    }
    case 'refund': {
      const { name, amount } = op
      const payment = payments[op.payment] ?? fault(`No such payment: ${op.payment}`)
      const { owner, captured } = payment
      if (captured === 0) return 'conflict'
      if (payment.refunded + amount > captured) return 'refund_exceeds_captured'
      if (!take(sums(owner), amount)) return 'insufficient_balance'
      payment.refunded += amount
      refunds[name] = { owner, payment: op.payment, amount, status: 'pending' }
      tell(name, 'refund.created')
      mark(name, 'refund')
      return 'pending'
    }
    case 'settleRefund': {
      const { name, verdict } = op
      const refund = of(refunds)
      const { owner, amount, status } = refund
      const payment = payments[refund.payment] ?? fault(`No such payment: ${refund.payment}`)
      if (refundMoves[status].includes(verdict)) {
        refund.status = verdict
        tell(name, `refund.${verdict}`)
        if (verdict === 'failed') payment.refunded = refundedOf(refund.payment)
        if (status === 'succeeded') back(sums(owner), amount)
        else release(sums(owner), amount, verdict === 'succeeded')
        mark(name, verdict === 'succeeded' ? 'refund_settlement' : 'refund_failure')
      } else if (verdict === 'succeeded' && status === 'failed') {
        if (isBooked('refund_settlement') || isBooked('late_refund')) return status
        payment.attention = true
        debit(sums(owner), amount)
        mark(name, 'late_refund')
        payment.refunded = refundedOf(refund.payment)
      }
      return refund.status
    }
    case 'payout': {
      const { name, amount } = op
      const owner = ownerOf(op.merchant, op.currency)
      if (!take(sums(owner), amount)) return 'insufficient_balance'
      payouts[name] = { owner, amount, status: 'pending', attention: false }
      tell(name, 'payout.created')
      mark(name, 'payout')
      return 'pending'
    }
    case 'startPayout': {
      const payout = of(payouts)
      if (payout.status !== 'pending') return payout.status
      tell(op.name, 'payout.processing')
      payout.status = 'processing'
      return payout.status
    }
    case 'settlePayout': {
      const { name, verdict } = op
      const payout = of(payouts)
      const { owner, amount, status } = payout
      if (payoutMoves[status].includes(verdict)) {
        payout.status = verdict
        tell(name, `payout.${verdict}`)
        if (status === 'completed') back(sums(owner), amount)
        else release(sums(owner), amount, verdict === 'completed')
        const types = { completed: 'settlement', failed: 'failure', canceled: 'cancel' } as const
        mark(name, `payout_${types[verdict]}`)
      } else if (verdict === 'completed' && (status === 'failed' || status === 'canceled')) {
        if (isBooked('payout_settlement') || isBooked('late_payout')) return status
        payout.attention = true
        debit(sums(owner), amount)
        mark(name, 'late_payout')
      }
      return payout.status
    }
    case 'topup':
      back(sums(ownerOf(op.merchant, op.currency)), op.amount)
      mark(op.name, 'topup')
      return 'done'
  }
}

/** What is owed is repaid first. */
function credit(sums: Sums, amount: number): void {
  sums.available += amount - sums.receivable
  sums.receivable = Math.max(0, -sums.available)
  sums.available = Math.max(0, sums.available)
}

function debit(sums: Sums, amount: number): void {
  sums.clearing += amount
  credit(sums, -amount)
}

function back(sums: Sums, amount: number): void {
  sums.clearing -= amount
  credit(sums, amount)
}

function take(sums: Sums, amount: number): boolean {
  if (sums.available < amount) return false
  sums.available -= amount
  sums.held += amount
  return true
}

function release(sums: Sums, amount: number, isGone: boolean): void {
  sums.held -= amount
  if (isGone) sums.clearing += amount
  else credit(sums, amount)
}

function fault(message: string): never {
  throw new Error(message)
}
