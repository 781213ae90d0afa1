import fc from 'fast-check'
import { paymentVerdicts } from '../core/payment.ts'
import { payoutVerdicts } from '../core/payout.ts'
import { refundVerdicts } from '../core/refund.ts'
import type { Op, State } from './ledger-model.ts'

// Histories at random. What a step is about is a number: which one that is of those that there are
// shows only when its turn comes.

export const merchants = [0, 1]
export const currencies = ['INR', 'JPY']

const merchant = fc.constantFrom(...merchants)
const currency = fc.constantFrom('INR', 'INR', 'INR', 'JPY')
const amount = fc.integer({ min: 1, max: 1_000 })
const which = fc.nat(1_000)
const tenths = fc.integer({ min: 1, max: 11 }) // of all that there is: eleven are too much

const steps = {
  pay: fc.record({ do: fc.constant('pay' as const), merchant, currency, amount }),
  topup: fc.record({ do: fc.constant('topup' as const), merchant, currency, amount }),
  authorize: fc.record({ do: fc.constant('authorize' as const), which }),
  settlePayment: fc.record({
    do: fc.constant('settlePayment' as const),
    which,
    verdict: fc.constantFrom('succeeded' as const, ...paymentVerdicts),
    tenths: fc.constantFrom(10, 10, 10, 9, 1),
  }),
  refund: fc.record({ do: fc.constant('refund' as const), which, tenths }),
  settleRefund: fc.record({
    do: fc.constant('settleRefund' as const),
    which,
    verdict: fc.constantFrom(...refundVerdicts),
  }),
  payout: fc.record({ do: fc.constant('payout' as const), which, tenths }),
  startPayout: fc.record({ do: fc.constant('startPayout' as const), which }),
  settlePayout: fc.record({
    do: fc.constant('settlePayout' as const),
    which,
    verdict: fc.constantFrom(...payoutVerdicts),
  }),
}
const step = fc.oneof(
  { arbitrary: steps.pay, weight: 3 },
  { arbitrary: steps.topup, weight: 1 },
  { arbitrary: steps.authorize, weight: 1 },
  { arbitrary: steps.settlePayment, weight: 5 },
  { arbitrary: steps.refund, weight: 4 },
  { arbitrary: steps.settleRefund, weight: 5 },
  { arbitrary: steps.payout, weight: 3 },
  { arbitrary: steps.startPayout, weight: 1 },
  { arbitrary: steps.settlePayout, weight: 4 },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** As an activity is: once, once more, or by two workers at once. */
const runs = fc.constantFrom('once' as const, 'once' as const, 'again' as const, 'twice' as const)
const doing = fc.record({ step, runs })

/** Some at once, of which each may come first. */
const turn = fc.oneof(
  { arbitrary: fc.array(doing, { minLength: 1, maxLength: 1 }), weight: 3 },
  { arbitrary: fc.array(doing, { minLength: 2, maxLength: 2 }), weight: 1 },
)
export const history = fc.record({
  bps: fc.constantFrom(0, 0, 250, 10_000),
  turns: fc.array(turn, { minLength: 10, maxLength: 60, size: 'max' }),
})
export type Turn = typeof turn extends fc.Arbitrary<infer T> ? T : never

const requests: Step['do'][] = ['pay', 'topup', 'refund', 'payout']

/** The activities of a turn that are at once, and those that come after. A request is made once. */
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

/** Null where there is nothing to do it to. */
function resolve(step: Step, { balances, payments, refunds, payouts }: State, name: string) {
  /** One that is `likely`, if there is any: mostly something shall happen. */
  const pick = <T>(all: Record<string, T>, which: number, likely = (_: T) => true) => {
    const entries = Object.entries(all)
    const found = entries.filter(([, one]) => likely(one))
    const from = found.length > 0 ? found : entries
    return from[which % from.length] ?? null
  }
  const part = (of: number, tenths: number) => Math.max(1, Math.ceil((of * tenths) / 10))
  switch (step.do) {
    case 'pay':
    case 'topup':
      return { ...step, name }
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
      const [payment, { amount }] = pick(payments, step.which) ?? ['', { amount: 0 }]
      const { verdict, tenths } = step
      return payment ? { do: step.do, name: payment, verdict, amount: part(amount, tenths) } : null
    }
    case 'settleRefund': {
      const [refund] = pick(refunds, step.which) ?? []
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
