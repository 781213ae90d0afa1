import { fault, type OrderOp, ownerOf, type State, takeOrOwe, undoneBy } from './ledger-state.ts'

type Order = State['orders'][string]

/** As `apply` in ledger-model.ts, of orders. */
export function applyToOrder(state: State, op: OrderOp): string {
  const { balances, orders, payments } = state
  const tell = (name: string, type: string) => {
    state.told[`${name} ${type}`] = true
  }
  switch (op.do) {
    case 'order': {
      const { name, amount } = op
      const rest = { payment: null, reason: null, isCompensating: false, asked: null }
      orders[name] = {
        owner: ownerOf(op.merchant, op.currency),
        amount,
        status: 'created',
        ...rest,
      }
      tell(name, 'order.created')
      return 'created'
    }
    case 'payOrder': {
      const { owner, amount, status } = orderOf(state, op.order)
      if (status === 'canceled') return 'conflict'
      if (status !== 'created') return 'order_already_paid'
      if (paymentOf(state, op.order)) return 'order_payment_in_progress'
      const rest = { captured: 0, refunded: 0, attention: false }
      payments[op.name] = { owner, order: op.order, amount, status: 'pending', ...rest }
      tell(op.name, 'payment.created')
      return 'pending'
    }
    case 'fulfill': {
      const order = orderOf(state, op.name)
      if (order.status !== 'paid') return order.status
      order.status = 'fulfilled'
      if (order.asked === 'open') order.asked = 'refused'
      tell(op.name, 'order.fulfilled')
      return order.status
    }
    case 'askCancel': {
      const order = orderOf(state, op.name)
      if (!isOpen(order)) return 'conflict'
      const paid = order.payment && payments[order.payment]
      const available = balances[order.owner]?.available ?? 0
      if (paid && available < paid.captured - paid.refunded) return 'insufficient_balance'
      if (order.asked === 'open') return 'conflict'
      order.asked = 'open'
      return 'open'
    }
    case 'cancel': {
      const order = orderOf(state, op.name)
      if (!isOpen(order)) return order.status
      Object.assign(order, { status: 'canceled', reason: op.reason, isCompensating: true })
      if (order.asked === 'open') order.asked = 'done'
      tell(op.name, 'order.canceled')
      return order.status
    }
    case 'undo':
      return undo(state, op.name)
  }
}

/** Gives back what is left; waits for what is on its way back; or it is done. */
function undo(state: State, name: string): string {
  const { balances, payments, refunds } = state
  const order = orderOf(state, name)
  const current = paymentOf(state, name)
  if (current && current.status !== 'succeeded') return 'payment open'
  const theirs = Object.entries(payments).filter(([, one]) => one.order === name)
  for (const [payment, paid] of theirs) {
    const amount = paid.captured - paid.refunded
    if (amount === 0) continue
    const prefix = undoneBy(name, amount)
    const refund = `${prefix}${Object.keys(refunds).filter((one) => one.startsWith(prefix)).length}`
    paid.refunded = paid.captured
    refunds[refund] = { owner: order.owner, payment, amount, status: 'pending' }
    takeOrOwe(balances[order.owner] ?? fault(`No such owner: ${order.owner}`), amount)
    state.booked[`${refund} refund`] = true
    state.told[`${refund} refund.created`] = true
    return refund
  }
  const isUnderWay = (one: State['refunds'][string]) =>
    one.status === 'pending' && theirs.some(([payment]) => payment === one.payment)
  if (Object.values(refunds).some(isUnderWay)) return 'waits'
  order.isCompensating = false
  return 'done'
}

/** What a payment's success means to its order. */
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

/** The money of a canceled order has not gone back after all. */
export function undoAgain(state: State, payment: string): void {
  const name = state.payments[payment]?.order
  const order = name && orderOf(state, name)
  if (order && order.status === 'canceled') order.isCompensating = true
}

function orderOf(state: State, name: string): Order {
  return state.orders[name] ?? fault(`No such order: ${name}`)
}

/** The one that it has at a time. */
function paymentOf({ payments }: State, order: string) {
  const holds = (one: State['payments'][string]) =>
    one.order === order && one.status !== 'failed' && one.status !== 'canceled'
  return Object.values(payments).find(holds)
}

function isOpen({ status }: Order): boolean {
  return status === 'created' || status === 'paid'
}
