import { ApplicationFailure, Context } from '@temporalio/activity'
import type { Delivery } from '../core/delivery.ts'
import { CAPTURE_WINDOW_MS, type Verdict } from '../core/payment.ts'
import { pollDelay } from '../core/retry-schedule.ts'
import type { Db } from '../db/client.ts'
import {
  authorizePayment,
  findPayment,
  markCaptureSent,
  markChargeSent,
  markNeedsAttention,
  nextCancelAttempt,
  type Recorded,
  setProviderRef,
  settlePayment,
  takeUpPayment,
} from '../db/payment-steps.ts'
import type { PaymentRow } from '../db/payments.ts'
import { type Providers, providerFor } from '../providers/index.ts'
import type { Charge } from '../providers/provider.ts'
import type { Now } from './now.ts'

type Deps = { db: Db; providers: Providers; feeBps: number; now: Now }

/**
 * What became of a charge. It is recorded already where there is a status: the deliveries are of the
 * event that tells of it. Otherwise the provider decides later, and says perhaps when.
 */
export type Progress = Settled | Authorized | Undecided
export type Settled = Omit<Verdict, 'amountCaptured'> & { deliveries: Delivery[] }
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
    const payment = await findPayment(db, paymentId)
    const verdict = settledVerdict(payment)
    if (verdict) return { state: 'decided', verdict }
    return payment.providerRef ? question(payment, payment.providerRef) : withoutCharge(payment)
  }

  return {
    /**
     * Charges once, however often it runs: it looks before it sends again. The number in the key
     * rises only when the look-up proves that nothing happened (design §2.8).
     */
    async chargePayment(paymentId: string): Promise<Progress> {
      const payment = await takeUpPayment(db, paymentId)
      const verdict = settledVerdict(payment)
      return record(paymentId, verdict ? { state: 'decided', verdict } : await charge(payment))
    },

    /**
     * Fails until there is an answer: its retries leave no event in the history, timers would. The
     * first look is put off to when the provider itself expects to know. With `toTheEnd` it is the
     * last word that is waited for, and an authorization is none.
     */
    async pollCharge(
      paymentId: string,
      checkInMs: number | null,
      toTheEnd = false,
    ): Promise<Settled | Authorized> {
      const { attempt } = Context.current().info
      if (attempt === 1 && checkInMs) throw stillDeciding(checkInMs)
      const found = await ask(paymentId, (payment, ref) => providerOf(payment).retrieveCharge(ref))
      const isAnswer = found.state === 'decided' || (found.state === 'authorized' && !toTheEnd)
      const progress = isAnswer && (await record(paymentId, found))
      if (progress && progress.status !== 'pending') return progress
      throw stillDeciding(pollDelay(checkInMs ? attempt - 1 : attempt))
    },

    /** Takes what is authorized, or `amount` of it, in minor units. As careful as the charge. */
    async captureCharge(paymentId: string, amount: number | null): Promise<Settled> {
      const found = await ask(paymentId, (payment, ref) => capture(payment, ref, amount))
      if (found.state === 'decided') return settle(paymentId, found.verdict)
      throw stillDeciding(pollDelay(Context.current().info.attempt))
    },

    /** Null when the provider has no last word: then only an operator, or its webhook, can help. */
    async cancelCharge(paymentId: string): Promise<Settled | null> {
      const found = await ask(
        paymentId,
        async (payment, ref) => {
          const number = await nextCancelAttempt(db, paymentId)
          return providerOf(payment).cancelCharge(ref, `${paymentId}:cancel:${number}`)
        },
        neverSent,
      )
      if (found.state === 'unsent')
        return settle(paymentId, { status: 'canceled', failureCode: null })
      return found.state === 'decided' ? settle(paymentId, found.verdict) : null
    },

    /** For a verdict that somebody else brings: the provider's webhook, or an operator. */
    settlePayment: settle,

    async parkPayment(paymentId: string): Promise<void> {
      await markNeedsAttention(db, paymentId, await now())
    },
  }

  async function charge(payment: PaymentRow): Promise<Charge> {
    const { id, chargeSentAt, chargeAttempt } = payment
    const provider = providerOf(payment)
    const { providerRef: ref } = payment.providerRef ? payment : await createCharge(payment)
    if (!ref) throw new Error(`Payment ${id} has no charge`)
    if (chargeSentAt) {
      const found = await provider.retrieveCharge(ref)
      if (found.state !== 'unsent') return found
      await waitOut(chargeSentAt, provider.consistencyWindowMs)
    }
    const number = chargeAttempt + 1
    await markChargeSent(db, id, number, await now())
    return provider.confirmCharge(ref, `${id}:charge:${number}`)
  }

  async function capture(payment: PaymentRow, ref: string, amount: number | null): Promise<Charge> {
    const { id, captureSentAt, captureAttempt } = payment
    const provider = providerOf(payment)
    if (captureSentAt) {
      const found = await provider.retrieveCharge(ref)
      if (found.state !== 'authorized') return found
      await waitOut(captureSentAt, provider.consistencyWindowMs)
    }
    const number = captureAttempt + 1
    const asked = { number, amount: amount ?? payment.amount }
    const taken = await markCaptureSent(db, id, asked, await now())
    return provider.captureCharge(ref, taken, `${id}:capture:${number}`)
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
      ...{ paymentId, amount, currency, captureMethod, source },
    })
    return setProviderRef(db, paymentId, ref)
  }

  /** A look-up right after the call may be older than the call. No longer, where a clock was set back. */
  async function waitOut(sentAt: Date, windowMs: number): Promise<void> {
    const leftMs = Math.min(sentAt.getTime() + windowMs - (await now()).getTime(), windowMs)
    if (leftMs <= 0) return
    throw ApplicationFailure.create({
      type: 'NotKnownYet',
      message: 'The provider may not know of the charge yet',
      nextRetryDelay: leftMs,
    })
  }
}

function settledVerdict({ status, failureCode, amountCaptured }: PaymentRow): Verdict | null {
  if (status === 'pending' || status === 'authorized') return null
  return { status, failureCode, amountCaptured }
}

function toSettled({ status, ...rest }: Recorded): Settled {
  if (status === 'pending' || status === 'authorized') throw new Error(`Not settled: ${status}`)
  return { status, ...rest }
}

function stillDeciding(inMs: number) {
  return ApplicationFailure.create({
    type: 'StillDeciding',
    message: 'The provider is still deciding',
    category: 'BENIGN',
    nextRetryDelay: inMs,
  })
}
