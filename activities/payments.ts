import { Context } from '@temporalio/activity'
import { isOpenStatus } from '../core/lifecycles/lifecycle.ts'
import { CAPTURE_WINDOW_MS, paymentLifecycle, type Verdict } from '../core/lifecycles/payment.ts'
import type { Delivery } from '../core/webhooks/delivery.ts'
import { pollDelay } from '../core/webhooks/retry-schedule.ts'
import { claimRow, clearNews, findRow, markNeedsAttention } from '../db/lifecycle-steps.ts'
import type { PaymentRow } from '../db/payments/payments.ts'
import { payments } from '../db/payments/schema.ts'
import {
  authorizePayment,
  type LateRefund,
  type Payable,
  type Recorded,
  settlePayment,
} from '../db/payments/steps.ts'
import type { Charge } from '../providers/provider.ts'
import {
  type ChargeDeps,
  findLateSuccess,
  retrieveCharge,
  sendCancel,
  sendCapture,
  sendCharge,
} from './provider/charges.ts'
import { stillDeciding, untilAnswered } from './provider/provider-calls.ts'

export type { LateRefund, Payable }

type Deps = ChargeDeps & { feeBps: number }

/**
 * The state of a charge. `Settled` and `Authorized` are recorded already; their `deliveries` are
 * those of the emitted event. `Undecided` has no verdict yet; the provider may say in `checkInMs`
 * when to ask again.
 */
type Progress = Settled | Authorized | Undecided
export type Settled = Omit<Verdict, 'amountCaptured'> & {
  deliveries: Delivery[]
  refund?: LateRefund // refunds a late success
  payable?: Payable // the order or payment link to notify
}
export type Authorized = {
  status: 'authorized'
  deliveries: Delivery[]
  amount: number // in minor units: the most that can be captured
  captureInMs: number
}
type Undecided = { status: 'pending'; checkInMs: number | null }

/**
 * An activity that asks the provider records the answer at once. A repeated call finds the answer
 * recorded and returns the first result again.
 */
export function paymentActivities(deps: Deps) {
  const { db, now } = deps
  return {
    /** Charges a payment, or looks for a late success if the payment has ended without money. */
    async chargePayment(paymentId: string): Promise<Progress> {
      const payment = await claimRow(db, payments, paymentId)
      const verdict = settledVerdict(payment)
      if (!verdict) return record(deps, paymentId, await sendCharge(deps, payment))
      const settled = await settle(
        deps,
        paymentId,
        (await findLateSuccess(deps, payment)) ?? verdict,
      )
      await clearNews(db, payments, paymentId)
      return settled
    },

    /** If `toTheEnd` is true, every poll cancels the charge, until the provider has a verdict. */
    async pollCharge(
      paymentId: string,
      checkInMs: number | null,
      toTheEnd = false,
    ): Promise<Settled | Authorized> {
      return untilAnswered(checkInMs, async () => {
        const found = await ask(deps, paymentId, (payment) => retrieveCharge(deps, payment))
        if (toTheEnd && found.state !== 'decided') return cancel(deps, paymentId)
        const progress = await record(deps, paymentId, found)
        return progress.status === 'pending' ? null : progress
      })
    },

    /**
     * Captures `amount`, in minor units, or all that is authorized if `amount` is null. Sends a
     * capture as carefully as a charge.
     */
    async captureCharge(paymentId: string, amount: number | null): Promise<Settled> {
      const found = await ask(deps, paymentId, (payment) => sendCapture(deps, payment, amount))
      if (found.state === 'decided') return settle(deps, paymentId, found.verdict)
      throw stillDeciding(pollDelay(Context.current().info.attempt))
    },

    /** Returns null if the provider gives no verdict. */
    async cancelCharge(paymentId: string): Promise<Settled | null> {
      return cancel(deps, paymentId)
    },

    /**
     * Records a verdict from an operator or from the signal `chargeSettled`. If the provider
     * answers with a verdict, that verdict is recorded instead.
     */
    async settlePayment(paymentId: string, verdict: Verdict): Promise<Settled> {
      const payment = await findRow(db, payments, paymentId)
      const found = await retrieveCharge(deps, payment).catch(() => null)
      return settle(deps, paymentId, found?.state === 'decided' ? found.verdict : verdict)
    },

    async parkPayment(paymentId: string): Promise<void> {
      await markNeedsAttention(db, payments, paymentId, await now())
    },
  }
}

/** Asks the provider, unless the payment is settled: then returns the recorded verdict. */
async function ask(
  deps: Deps,
  paymentId: string,
  question: (payment: PaymentRow) => Promise<Charge>,
): Promise<Charge> {
  const payment = await findRow(deps.db, payments, paymentId)
  const verdict = settledVerdict(payment)
  return verdict ? { state: 'decided', verdict } : question(payment)
}

async function cancel(deps: Deps, paymentId: string): Promise<Settled | null> {
  const found = await ask(deps, paymentId, (payment) => sendCancel(deps, payment))
  if (found.state === 'unsent')
    return settle(deps, paymentId, { status: 'canceled', failureCode: null })
  return found.state === 'decided' ? settle(deps, paymentId, found.verdict) : null
}

async function record(deps: Deps, paymentId: string, found: Charge): Promise<Progress> {
  if (found.state === 'decided') return settle(deps, paymentId, found.verdict)
  if (found.state === 'authorized') return authorize(deps, paymentId)
  return { status: 'pending', checkInMs: found.state === 'processing' ? found.checkInMs : null }
}

async function authorize(deps: Deps, paymentId: string): Promise<Progress> {
  const { db, now } = deps
  const at = await now()
  const { authorizedAt, amount, ...recorded } = await authorizePayment(db, paymentId, at)
  if (recorded.status !== 'authorized') return toSettled(recorded)
  const until = (authorizedAt ?? at).getTime() + CAPTURE_WINDOW_MS
  const captureInMs = Math.max(until - at.getTime(), 0)
  return { status: 'authorized', deliveries: recorded.deliveries, amount, captureInMs }
}

async function settle(deps: Deps, paymentId: string, verdict: Verdict): Promise<Settled> {
  const { db, feeBps, now } = deps
  return toSettled(await settlePayment(db, paymentId, verdict, { feeBps, now: await now() }))
}

function settledVerdict({ status, failureCode, amountCaptured }: PaymentRow): Verdict | null {
  if (isOpenStatus(paymentLifecycle, status)) return null
  return { status, failureCode, amountCaptured }
}

function toSettled({ status, ...rest }: Recorded): Settled {
  if (isOpenStatus(paymentLifecycle, status)) throw new Error(`Not settled: ${status}`)
  return { status, ...rest }
}
