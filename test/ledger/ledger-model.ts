import { paymentLifecycle } from '../../core/lifecycles/payment.ts'
import { payoutLifecycle } from '../../core/lifecycles/payout.ts'
import { refundLifecycle } from '../../core/lifecycles/refund.ts'
import type { BalanceTransactionType } from '../../core/money/ledger.ts'
import { applyToOrder, markPaid, undoAgain } from './ledger-orders.ts'
import {
  back,
  credit,
  debit,
  fault,
  lateRefundOf,
  type Op,
  ownerOf,
  release,
  type State,
  take,
} from './ledger-state.ts'

/**
 * Says a second time, without SQL, which effect an operation has. Returns what the caller gets: a
 * status, or the code of a refusal. `bps` is the platform's fee.
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

  /** Sums the refunds that did not fail, and those that failed but reached the payer later. */
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
      const rest = { order: null, captured: 0, refunded: 0, attention: false }
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
      if (paymentLifecycle.moves[payment.status].includes(verdict)) {
        payment.status = verdict
        tell(name, `payment.${verdict}`)
        if (verdict !== 'succeeded') return verdict
        payment.captured = amount
        markPaid(state, name)
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
      if (refundLifecycle.moves[status].includes(verdict)) {
        refund.status = verdict
        tell(name, `refund.${verdict}`)
        if (verdict === 'failed') payment.refunded = refundedOf(refund.payment)
        if (verdict === 'failed') undoAgain(state, refund.payment)
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
      if (payoutLifecycle.moves[status].includes(verdict)) {
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
    default:
      return applyToOrder(state, op)
  }
}
