import fc from 'fast-check'
import { orderCancellationReasons } from '../../core/lifecycles/order.ts'
import { paymentLifecycle } from '../../core/lifecycles/payment.ts'
import { payoutLifecycle } from '../../core/lifecycles/payout.ts'
import { refundLifecycle } from '../../core/lifecycles/refund.ts'
import type { Op, State } from './ledger-state.ts'

// This file generates random histories. A step names its object by a number. The number picks from
// the objects that exist when the turn of the step comes.

export const merchants = [0, 1]
export const currencies = ['INR', 'JPY']

const merchant = fc.constantFrom(...merchants)
const currency = fc.constantFrom('INR', 'INR', 'INR', 'JPY')
const amount = fc.integer({ min: 1, max: 1_000 })
const which = fc.nat(1_000)
const tenths = fc.integer({ min: 1, max: 11 }) // tenths of the whole amount: eleven are too much

const steps = {
  pay: fc.record({ do: fc.constant('pay' as const), merchant, currency, amount }),
  topup: fc.record({ do: fc.constant('topup' as const), merchant, currency, amount }),
  authorize: fc.record({ do: fc.constant('authorize' as const), which }),
  settlePayment: fc.record({
    do: fc.constant('settlePayment' as const),
    which,
    verdict: fc.constantFrom('succeeded' as const, ...paymentLifecycle.verdicts),
    tenths: fc.constantFrom(10, 10, 10, 9, 1),
  }),
  refund: fc.record({ do: fc.constant('refund' as const), which, tenths }),
  settleRefund: fc.record({
    do: fc.constant('settleRefund' as const),
    which,
    verdict: fc.constantFrom(...refundLifecycle.verdicts),
  }),
  payout: fc.record({ do: fc.constant('payout' as const), which, tenths }),
  startPayout: fc.record({ do: fc.constant('startPayout' as const), which }),
  settlePayout: fc.record({
    do: fc.constant('settlePayout' as const),
    which,
    verdict: fc.constantFrom(...payoutLifecycle.verdicts),
  }),
  order: fc.record({ do: fc.constant('order' as const), merchant, currency, amount }),
  payOrder: fc.record({ do: fc.constant('payOrder' as const), which }),
  fulfill: fc.record({ do: fc.constant('fulfill' as const), which }),
  ask: fc.record({
    do: fc.constant('ask' as const),
    which,
    kind: fc.constantFrom('fulfill' as const, 'cancel' as const),
  }),
  cancel: fc.record({
    do: fc.constant('cancel' as const),
    which,
    reason: fc.constantFrom(...orderCancellationReasons),
  }),
  undo: fc.record({ do: fc.constant('undo' as const), which }),
  undoByHand: fc.record({ do: fc.constant('undoByHand' as const), which }),
}
type Name = keyof typeof steps

/** These weights say how often each step comes, compared with the others. */
const ofMoney = { pay: 3, topup: 1, authorize: 1, settlePayment: 5, refund: 4, settleRefund: 5 }
const ofPayouts = { payout: 3, startPayout: 1, settlePayout: 4 }
const ofOrders = { order: 2, payOrder: 4, ask: 2, fulfill: 1, cancel: 2, undo: 4, undoByHand: 1 }
const allKinds: Partial<Record<Name, number>> = { ...ofMoney, ...ofPayouts, ...ofOrders }
const mostlyOrders: Partial<Record<Name, number>> = {
  ...ofOrders,
  topup: 1,
  settlePayment: 6,
  refund: 1,
  settleRefund: 4,
  payout: 2,
  settlePayout: 1,
}

type Step = (typeof steps)[Name] extends fc.Arbitrary<infer T> ? T : never

/** A step runs as an activity may run: once, once more, or in two workers at once. */
const runs = fc.constantFrom('once' as const, 'once' as const, 'again' as const, 'twice' as const)

/** A turn is one step, or two at once. Either of two may come first. */
function turnOf(kinds: Partial<Record<Name, number>>) {
  const weights = Object.entries(kinds) as [Name, number][]
  const step: fc.Arbitrary<Step> = fc.oneof(
    ...weights.map(([name, weight]) => ({ arbitrary: steps[name] as fc.Arbitrary<Step>, weight })),
  )
  const doing = fc.record({ step, runs })
  return fc.oneof(
    { arbitrary: fc.array(doing, { minLength: 1, maxLength: 1 }), weight: 3 },
    { arbitrary: fc.array(doing, { minLength: 2, maxLength: 2 }), weight: 1 },
  )
}
const turns = (kinds: Partial<Record<Name, number>>) =>
  fc.array(turnOf(kinds), { minLength: 10, maxLength: 60, size: 'max' })

export const history = fc.record({
  bps: fc.constantFrom(0, 0, 250, 10_000),
  turns: fc.oneof(turns(allKinds), turns(mostlyOrders)),
})
export type Turn = ReturnType<typeof turnOf> extends fc.Arbitrary<infer T> ? T : never

const requests: Step['do'][] = ['pay', 'topup', 'refund', 'payout', 'order', 'payOrder', 'ask']

/**
 * Returns the ops of a turn that run at once, and the ops that run after them. A request is made
 * only once.
 */
export function opsOf(turn: Turn, state: State, n: number): { atOnce: Op[]; after: Op[] } {
  const atOnce: Op[] = []
  const after: Op[] = []
  for (const [i, { step, runs }] of turn.entries()) {
    const op = resolve(step, state, `${step.do} ${n}.${i}`)
    if (!op) continue
    atOnce.push(op)
    const isActivity = !requests.includes(step.do)
    if (isActivity && runs === 'twice') atOnce.push(op)
    if (isActivity && runs === 'again') after.push(op)
  }
  return { atOnce, after }
}

/** Returns null if there is nothing that the step can act on. */
function resolve(step: Step, state: State, name: string) {
  const { balances, payments, orders, refunds, payouts } = state
  /** Picks a `likely` object if there is one, because most steps should have an effect. */
  const pick = <T>(
    all: Record<string, T>,
    which: number,
    likely: (one: T) => unknown = () => true,
  ) => {
    const entries = Object.entries(all)
    const found = entries.filter(([, one]) => likely(one))
    const from = found.length > 0 ? found : entries
    return from[which % from.length] ?? null
  }
  const part = (of: number, tenths: number) => Math.max(1, Math.ceil((of * tenths) / 10))
  switch (step.do) {
    case 'pay':
    case 'topup':
    case 'order':
      return { ...step, name }
    case 'payOrder': {
      const [order] = pick(orders, step.which, ({ status }) => status === 'created') ?? []
      return order ? { do: step.do, name, order } : null
    }
    case 'fulfill':
    case 'ask': {
      const [order] = pick(orders, step.which, ({ status }) => status === 'paid') ?? []
      if (!order) return null
      return step.do === 'ask'
        ? { do: step.do, name: order, kind: step.kind }
        : { do: step.do, name: order }
    }
    case 'cancel': {
      const isBegun = ([name, { status }]: [string, State['orders'][string]]) =>
        status === 'paid' || Object.values(payments).some(({ order }) => order === name)
      const begun = Object.fromEntries(Object.entries(orders).filter(isBegun))
      const isPaid = ({ status }: State['orders'][string]) => status === 'paid'
      const [order] = pick(begun, step.which, isPaid) ?? []
      return order ? { do: step.do, name: order, reason: step.reason } : null
    }
    case 'undo':
    case 'undoByHand': {
      const canceled = Object.entries(orders).filter(([, { status }]) => status === 'canceled')
      const all = Object.fromEntries(canceled)
      const [order] = pick(all, step.which, ({ isCompensating }) => isCompensating) ?? []
      return order ? { do: step.do, name: order } : null
    }
    case 'payout': {
      const picked = pick(balances, step.which, ({ available }) => available > 0)
      const [owner, { available }] = picked ?? ['', { available: 0 }]
      const [merchant, currency = ''] = owner.split(' ')
      const amount = part(available, step.tenths)
      return { do: step.do, name, merchant: Number(merchant), currency, amount }
    }
    case 'refund': {
      const picked = pick(payments, step.which, ({ captured, refunded }) => captured > refunded)
      const [payment, { captured }] = picked ?? ['', { captured: 0 }]
      return payment ? { do: step.do, name, payment, amount: part(captured, step.tenths) } : null
    }
    case 'authorize': {
      const [payment] = pick(payments, step.which) ?? []
      return payment ? { do: step.do, name: payment } : null
    }
    case 'settlePayment': {
      const isWaiting = (one: State['payments'][string]) =>
        one.order !== null && one.status === 'pending'
      const likely = step.which % 2 ? isWaiting : undefined
      const [payment, { amount }] = pick(payments, step.which, likely) ?? ['', { amount: 0 }]
      const { verdict, tenths } = step
      return payment ? { do: step.do, name: payment, verdict, amount: part(amount, tenths) } : null
    }
    case 'settleRefund': {
      const isUndoing = ({ payment, status }: State['refunds'][string]) =>
        payments[payment]?.order && status === 'pending'
      const [refund] = pick(refunds, step.which, step.which % 2 ? isUndoing : undefined) ?? []
      return refund ? { do: step.do, name: refund, verdict: step.verdict } : null
    }
    case 'startPayout': {
      const [payout] = pick(payouts, step.which) ?? []
      return payout ? { do: step.do, name: payout } : null
    }
    case 'settlePayout': {
      const [payout] = pick(payouts, step.which) ?? []
      return payout ? { do: step.do, name: payout, verdict: step.verdict } : null
    }
  }
}
