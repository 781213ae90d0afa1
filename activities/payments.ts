import { Context } from '@temporalio/activity'
import { isOpenStatus } from '../core/lifecycles/lifecycle.ts'
import { CAPTURE_WINDOW_MS, paymentLifecycle, type Verdict } from '../core/lifecycles/payment.ts'
import type { Delivery } from '../core/webhooks/delivery.ts'
import { pollDelay } from '../core/webhooks/retry-schedule.ts'
import type { Db } from '../db/client.ts'
import {
  claimRow,
  clearNews,
  findRow,
  markNeedsAttention,
  nextCancelAttempt,
  setProviderRef,
} from '../db/lifecycle-steps.ts'
import type { PaymentRow } from '../db/payments/payments.ts'
import { payments } from '../db/payments/schema.ts'
import {
  authorizePayment,
  type LateRefund,
  markCaptureSent,
  markChargeSent,
  type Payable,
  type Recorded,
  settlePayment,
} from '../db/payments/steps.ts'
import { type Providers, providerFor } from '../providers/index.ts'
import type { Charge } from '../providers/provider.ts'
import type { Now } from './now.ts'
import { sendOnce, stillDeciding, untilAnswered } from './provider/provider-calls.ts'

export type { LateRefund, Payable }

type Deps = { db: Db; providers: Providers; feeBps: number; now: Now }

/**
 * What became of a charge. It is recorded already where there is a status: the deliveries are of the
 * event that tells of it. Otherwise the provider decides later, and says perhaps when.
 */
type Progress = Settled | Authorized | Undecided
export type Settled = Omit<Verdict, 'amountCaptured'> & {
  deliveries: Delivery[]
  refund?: LateRefund // of a success that came too late
  payable?: Payable // what it is for, to be told of it
}
export type Authorized = {
  status: 'authorized'
  deliveries: Delivery[]
  amount: number // in minor units: all that can be captured
  captureInMs: number
}
type Undecided = { status: 'pending'; checkInMs: number | null }

const unsent: Charge = { state: 'unsent' }

/**
 * Each asks the provider and records its answer at once. Run twice, they find it recorded, and
 * return the first result again.
 */
export function paymentActivities({ db, providers, feeBps, now }: Deps) {
  const providerOf = (payment: PaymentRow) => providerFor(providers, payment.provider)

  /** What the provider says now, unless the payment is settled: then there is nothing to ask. */
  async function ask(
    paymentId: string,
    question: (payment: PaymentRow, ref: string) => Promise<Charge>,
    withoutCharge = async (_: PaymentRow): Promise<Charge> => unsent,
  ): Promise<Charge> {
    const payment = await findRow(db, payments, paymentId)
    const verdict = settledVerdict(payment)
    if (verdict) return { state: 'decided', verdict }
    return payment.providerRef ? question(payment, payment.providerRef) : withoutCharge(payment)
  }

  return {
    /** One that has ended without money is looked up: there may be news of it. */
    async chargePayment(paymentId: string): Promise<Progress> {
      const payment = await claimRow(db, payments, paymentId)
      const verdict = settledVerdict(payment)
      if (!verdict) return record(paymentId, await charge(payment))
      const settled = await settle(paymentId, (await lateSuccess(payment)) ?? verdict)
      await clearNews(db, payments, paymentId)
      return settled
    },

    /** With `toTheEnd` an undecided one is canceled each time, until the provider has a last word. */
    async pollCharge(
      paymentId: string,
      checkInMs: number | null,
      toTheEnd = false,
    ): Promise<Settled | Authorized> {
      return untilAnswered(checkInMs, async () => {
        const found = await ask(paymentId, (payment, ref) =>
          providerOf(payment).retrieveCharge(ref),
        )
        if (toTheEnd && found.state !== 'decided') return cancel(paymentId)
        const progress = await record(paymentId, found)
        return progress.status === 'pending' ? null : progress
      })
    },

    /** Takes what is authorized, or `amount` of it, in minor units. As careful as the charge. */
    async captureCharge(paymentId: string, amount: number | null): Promise<Settled> {
      const found = await ask(paymentId, (payment, ref) => capture(payment, ref, amount))
      if (found.state === 'decided') return settle(paymentId, found.verdict)
      throw stillDeciding(pollDelay(Context.current().info.attempt))
    },

    /** Returns null if the provider gives no verdict. */
    async cancelCharge(paymentId: string): Promise<Settled | null> {
      return cancel(paymentId)
    },

    /**
     * Records a verdict from an operator or from the signal `chargeSettled`. If the provider answers with
     * a verdict of its own, that verdict is recorded instead.
     */
    async settlePayment(paymentId: string, told: Verdict): Promise<Settled> {
      const payment = await findRow(db, payments, paymentId)
      const { providerRef: ref } = payment
      const found = ref
        ? await providerOf(payment)
            .retrieveCharge(ref)
            .catch(() => unsent)
        : unsent
      return settle(paymentId, found.state === 'decided' ? found.verdict : told)
    },

    async parkPayment(paymentId: string): Promise<void> {
      await markNeedsAttention(db, payments, paymentId, await now())
    },
  }

  async function lateSuccess(payment: PaymentRow): Promise<Verdict | null> {
    const { status, providerRef, chargeSentAt } = payment
    if (status === 'succeeded' || !providerRef || !chargeSentAt) return null
    const found = await providerOf(payment).retrieveCharge(providerRef)
    return found.state === 'decided' && found.verdict.status === 'succeeded' ? found.verdict : null
  }

  async function charge(payment: PaymentRow): Promise<Charge> {
    const { id, chargeSentAt: at, chargeAttempt: attempt } = payment
    const provider = providerOf(payment)
    const { providerRef: ref } = payment.providerRef ? payment : await createCharge(payment)
    if (!ref) throw new Error(`Payment ${id} has no charge`)
    return sendOnce<Charge>({
      sent: { attempt, at },
      windowMs: provider.consistencyWindowMs,
      now,
      async lookUp() {
        const found = await provider.retrieveCharge(ref)
        return found.state === 'unsent' ? null : found
      },
      mark: async (number) => markChargeSent(db, id, number, await now()),
      send: (number) => provider.confirmCharge(ref, `${id}:charge:${number}`),
    })
  }

  async function capture(payment: PaymentRow, ref: string, amount: number | null): Promise<Charge> {
    const { id, captureSentAt: at, captureAttempt: attempt } = payment
    const provider = providerOf(payment)
    let taken = payment.amount
    return sendOnce<Charge>({
      sent: { attempt, at },
      windowMs: provider.consistencyWindowMs,
      now,
      async lookUp() {
        const found = await provider.retrieveCharge(ref)
        return found.state === 'authorized' ? null : found
      },
      async mark(number) {
        const asked = { number, amount: amount ?? payment.amount }
        taken = await markCaptureSent(db, id, asked, await now())
      },
      send: (number) => provider.captureCharge(ref, taken, `${id}:capture:${number}`),
    })
  }

  async function cancel(paymentId: string): Promise<Settled | null> {
    const found = await ask(
      paymentId,
      async (payment, ref) => {
        const number = await nextCancelAttempt(db, payments, paymentId)
        return providerOf(payment).cancelCharge(ref, `${paymentId}:cancel:${number}`)
      },
      neverSent,
    )
    if (found.state === 'unsent')
      return settle(paymentId, { status: 'canceled', failureCode: null })
    return found.state === 'decided' ? settle(paymentId, found.verdict) : null
  }

  async function record(paymentId: string, found: Charge): Promise<Progress> {
    if (found.state === 'decided') return settle(paymentId, found.verdict)
    if (found.state === 'authorized') return authorize(paymentId)
    return { status: 'pending', checkInMs: found.state === 'processing' ? found.checkInMs : null }
  }

  async function authorize(paymentId: string): Promise<Progress> {
    const at = await now()
    const { authorizedAt, amount, ...recorded } = await authorizePayment(db, paymentId, at)
    if (recorded.status !== 'authorized') return toSettled(recorded)
    const until = (authorizedAt ?? at).getTime() + CAPTURE_WINDOW_MS
    const captureInMs = Math.max(until - at.getTime(), 0)
    return { status: 'authorized', deliveries: recorded.deliveries, amount, captureInMs }
  }

  async function settle(paymentId: string, verdict: Verdict): Promise<Settled> {
    return toSettled(await settlePayment(db, paymentId, verdict, { feeBps, now: await now() }))
  }

  /** Takes the next attempt's number, so that no activity that was thought dead can still send it. */
  async function neverSent({ id, chargeAttempt }: PaymentRow): Promise<Charge> {
    await markChargeSent(db, id, chargeAttempt + 1, await now())
    return unsent
  }

  async function createCharge(payment: PaymentRow) {
    const { id: paymentId, amount, currency, captureMethod, vpa, cardToken } = payment
    const source = vpa ?? cardToken
    if (!source) throw new Error(`Payment ${paymentId} has nothing to charge`)
    const { ref } = await providerOf(payment).createCharge({
      key: `${paymentId}:create:1`,
      paymentId,
      amount,
      currency,
      captureMethod,
      source,
    })
    return setProviderRef(db, payments, paymentId, ref)
  }
}

function settledVerdict({ status, failureCode, amountCaptured }: PaymentRow): Verdict | null {
  if (isOpenStatus(paymentLifecycle, status)) return null
  return { status, failureCode, amountCaptured }
}

function toSettled({ status, ...rest }: Recorded): Settled {
  if (isOpenStatus(paymentLifecycle, status)) throw new Error(`Not settled: ${status}`)
  return { status, ...rest }
}
