import { commandDoneBy } from '../../core/lifecycles/lifecycle.ts'
import { type OrderCommand, type OrderStatus, orderLifecycle } from '../../core/lifecycles/order.ts'
import {
  fault,
  type OrderOp,
  ownerOf,
  release,
  type State,
  takeOrOwe,
  undoneBy,
} from './ledger-state.ts'

type Order = State['orders'][string]

/** Does for orders what `apply` in ledger-model.ts does for the rest. */
export function applyToOrder(state: State, op: OrderOp): string {
  switch (op.do) {
    case 'order': {
      const { name, amount } = op
      const rest = { payment: null, reason: null, isCompensating: false }
      const asked = { asked: null, answer: null }
      const owner = ownerOf(op.merchant, op.currency)
      state.orders[name] = { owner, amount, status: 'created', ...rest, ...asked }
      state.told[`${name} order.created`] = true
      return 'created'
    }
    case 'payOrder':
      return pay(state, op)
    case 'ask': {
      const order = orderOf(state, op.name)
      const { owner, status } = order
      if (!canTake[op.kind].includes(status)) return 'conflict'
      const paid = order.payment && state.payments[order.payment]
      const available = state.balances[owner]?.available ?? 0
      const isCovered = !paid || available >= paid.captured - paid.refunded
      if (op.kind === 'cancel' && !isCovered) return 'insufficient_balance'
      if (order.answer === 'open') return 'conflict'
      Object.assign(order, { asked: op.kind, answer: 'open' })
      return 'open'
    }
    case 'fulfill':
      return orderOf(state, op.name).status === 'paid'
        ? end(state, op.name, 'fulfilled')
        : orderOf(state, op.name).status
    case 'cancel': {
      const order = orderOf(state, op.name)
      if (order.status !== 'created' && order.status !== 'paid') return order.status
      const asked = order.answer === 'open' && order.asked
      // A command `fulfill` that arrived before the deadline wins over the deadline.
      if (op.reason === 'deadline_passed' && asked === 'fulfill')
        return end(state, op.name, 'fulfilled')
      const reason = asked === 'cancel' ? 'requested' : op.reason
      Object.assign(order, { reason, isCompensating: true })
      return end(state, op.name, 'canceled')
    }
    case 'undo':
      return undo(state, op.name)
    case 'undoByHand':
      for (const payment of paymentsOf(state, op.name)) giveBack(state, op.do, op.name, payment)
      return 'done'
  }
}

const canTake: Record<OrderCommand['kind'], OrderStatus[]> = {
  fulfill: ['paid'],
  cancel: ['created', 'paid'],
}

function pay(state: State, { name, order }: Extract<OrderOp, { do: 'payOrder' }>): string {
  const { owner, amount, status, asked, answer } = orderOf(state, order)
  if (status === 'paid' || status === 'fulfilled') return 'order_already_paid'
  if (status === 'canceled' || (asked === 'cancel' && answer === 'open')) return 'conflict'
  if (currentOf(state, order)) return 'order_payment_in_progress'
  const rest = { captured: 0, refunded: 0, attention: false }
  state.payments[name] = { owner, order, amount, status: 'pending', ...rest }
  state.told[`${name} payment.created`] = true
  return 'pending'
}

function end(state: State, name: string, status: 'fulfilled' | 'canceled'): string {
  const order = orderOf(state, name)
  order.status = status
  if (order.answer === 'open')
    order.answer = order.asked === commandDoneBy(orderLifecycle, status) ? 'done' : 'refused'
  state.told[`${name} order.${status}`] = true
  return status
}

/** Refunds what is left, or waits for refunds under way, or ends the compensation. */
function undo(state: State, name: string): string {
  const current = currentOf(state, name)
  if (current && current.status !== 'succeeded') return 'payment open'
  for (const payment of paymentsOf(state, name)) {
    const refund = giveBack(state, 'undo', name, payment)
    if (refund) return refund
  }
  const isUnderWay = (one: State['refunds'][string]) =>
    one.status === 'pending' && paymentsOf(state, name).includes(one.payment)
  if (Object.values(state.refunds).some(isUnderWay)) return 'waits'
  orderOf(state, name).isCompensating = false
  return 'done'
}

/**
 * Refunds what is left of a payment. By hand, the refund has arrived already. Returns the refund,
 * or null if nothing is left.
 */
function giveBack(state: State, how: 'undo' | 'undoByHand', order: string, name: string) {
  const { balances, payments, refunds, booked, told } = state
  const payment = payments[name] ?? fault(`No such payment: ${name}`)
  const { owner, captured } = payment
  const amount = captured - payment.refunded
  if (amount === 0) return null
  const prefix = undoneBy(how, order, amount)
  const refund = `${prefix}${Object.keys(refunds).filter((one) => one.startsWith(prefix)).length}`
  payment.refunded = captured
  const sums = balances[owner] ?? fault(`No such owner: ${owner}`)
  takeOrOwe(sums, amount)
  booked[`${refund} refund`] = true
  told[`${refund} refund.created`] = true
  refunds[refund] = { owner, payment: name, amount, status: 'pending' }
  if (how === 'undo') return refund
  release(sums, amount, true)
  booked[`${refund} refund_settlement`] = true
  told[`${refund} refund.succeeded`] = true
  refunds[refund].status = 'succeeded'
  return refund
}

/** Applies the success of a payment to its order. */
export function markPaid(state: State, payment: string): void {
  const name = state.payments[payment]?.order
  if (!name) return
  const order = orderOf(state, name)
  if (order.status === 'canceled') order.isCompensating = true
  if (order.status !== 'created') return
  order.status = 'paid'
  order.payment = payment
  state.told[`${name} order.paid`] = true
}

/**
 * A refund failed, so a canceled order still has money. The order compensates again, and the
 * payment needs an operator's attention.
 */
export function undoAgain(state: State, name: string): void {
  const payment = state.payments[name]
  if (!payment?.order) return
  const order = orderOf(state, payment.order)
  if (order.status !== 'canceled') return
  order.isCompensating = true
  payment.attention = true
}

function orderOf(state: State, name: string): Order {
  return state.orders[name] ?? fault(`No such order: ${name}`)
}

function paymentsOf({ payments }: State, order: string): string[] {
  return Object.keys(payments).filter((name) => payments[name]?.order === order)
}

/**
 * Returns the order's current payment, which is open or has succeeded. An order has at most one.
 */
function currentOf({ payments }: State, order: string) {
  return Object.values(payments).find(
    (one) => one.order === order && one.status !== 'failed' && one.status !== 'canceled',
  )
}
