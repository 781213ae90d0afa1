import { ApplicationFailure, Context } from '@temporalio/activity'
import type { Delivery } from '../core/delivery.ts'
import type { PaymentStatus, Verdict } from '../core/payment.ts'
import { pollDelay } from '../core/retry-schedule.ts'
import type { Db } from '../db/client.ts'
import {
  markChargeSent,
  markNeedsAttention,
  type PaymentRow,
  setProviderRef,
  settlePayment,
  takeUpPayment,
} from '../db/payments.ts'
import { type Providers, providerFor } from '../providers/index.ts'
import type { Charge } from '../providers/provider.ts'
import type { Now } from './now.ts'

type Deps = { db: Db; providers: Providers; feeBps: number; now: Now }

/** What a payment waits for: nothing, once there is a verdict. */
export type Charged = { verdict: Verdict } | { checkInMs: number | null }

export function paymentActivities({ db, providers, feeBps, now }: Deps) {
  const providerOf = (payment: PaymentRow) => providerFor(providers, payment.provider)

  /** What the provider says now, unless the payment is settled: then there is nothing to ask. */
  async function verdictOf(
    paymentId: string,
    ask: (payment: PaymentRow, ref: string) => Promise<Charge>,
  ): Promise<Charge> {
    const payment = await takeUpPayment(db, paymentId)
    const verdict = settledVerdict(payment)
    if (verdict) return { state: 'decided', verdict }
    return payment.providerRef ? ask(payment, payment.providerRef) : neverSent(payment)
  }

  return {
    /**
     * Charges once, however often it runs: it looks before it sends again. The number in the key
     * rises only when the look-up proves that nothing happened (design §2.8).
     */
    async chargePayment(paymentId: string): Promise<Charged> {
      const payment = await takeUpPayment(db, paymentId)
      const settled = settledVerdict(payment)
      if (settled) return { verdict: settled }

      const provider = providerOf(payment)
      const { providerRef: ref } = payment.providerRef ? payment : await createCharge(payment)
      if (!ref) throw new Error(`Payment ${paymentId} has no charge`)
      if (payment.chargeSentAt) {
        const charge = await provider.retrieveCharge(ref)
        if (charge.state !== 'unsent') return toCharged(charge)
        await waitOut(payment.chargeSentAt, provider.consistencyWindowMs)
      }
      const number = payment.chargeAttempt + 1
      await markChargeSent(db, paymentId, number, await now())
      return toCharged(await provider.confirmCharge(ref, `${paymentId}:charge:${number}`))
    },

    /**
     * Fails until there is a verdict: its retries leave no event in the history, timers would. The
     * first look is put off to when the provider itself expects to know.
     */
    async pollCharge(paymentId: string, checkInMs: number | null): Promise<Verdict> {
      const { attempt } = Context.current().info
      if (attempt === 1 && checkInMs) throw stillDeciding(checkInMs)
      const charge = await verdictOf(paymentId, (payment, ref) =>
        providerOf(payment).retrieveCharge(ref),
      )
      if (charge.state === 'decided') return charge.verdict
      throw stillDeciding(pollDelay(checkInMs ? attempt - 1 : attempt))
    },

    /** Null when the provider has no last word: then only an operator, or its webhook, can help. */
    async cancelCharge(paymentId: string): Promise<Verdict | null> {
      // Another key each time: it takes no money twice, and a stored 5xx would replay for its key.
      const { attempt } = Context.current().info
      const charge = await verdictOf(paymentId, (payment, ref) =>
        providerOf(payment).cancelCharge(ref, `${paymentId}:cancel:${attempt}`),
      )
      if (charge.state === 'unsent') return { status: 'canceled', failureCode: null }
      return charge.state === 'decided' ? charge.verdict : null
    },

    async settlePayment(
      paymentId: string,
      verdict: Verdict,
    ): Promise<{ status: PaymentStatus; deliveries: Delivery[] }> {
      return settlePayment(db, paymentId, verdict, { feeBps, now: await now() })
    },

    async parkPayment(paymentId: string): Promise<void> {
      await markNeedsAttention(db, paymentId, await now())
    },
  }

  /** Takes the next attempt's number, so that no activity that was thought dead can still send it. */
  async function neverSent({ id, chargeAttempt }: PaymentRow): Promise<Charge> {
    await markChargeSent(db, id, chargeAttempt + 1, await now())
    return { state: 'unsent' }
  }

  async function createCharge(payment: PaymentRow) {
    const { id: paymentId, amount, currency, vpa, cardToken } = payment
    const source = vpa ?? cardToken
    if (!source) throw new Error(`Payment ${paymentId} has nothing to charge`)
    const request = { key: `${paymentId}:create:1`, paymentId, amount, currency, source }
    const { ref } = await providerOf(payment).createCharge(request)
    return setProviderRef(db, paymentId, ref)
  }

  /** A look-up right after the call may be older than the call. */
  async function waitOut(sentAt: Date, windowMs: number): Promise<void> {
    const leftMs = sentAt.getTime() + windowMs - (await now()).getTime()
    if (leftMs <= 0) return
    throw ApplicationFailure.create({
      type: 'NotKnownYet',
      message: 'The provider may not know of the charge yet',
      nextRetryDelay: leftMs,
    })
  }
}

function settledVerdict({ status, failureCode }: PaymentRow): Verdict | null {
  if (status === 'pending' || status === 'authorized') return null
  return { status, failureCode }
}

function toCharged(charge: Charge): Charged {
  if (charge.state === 'decided') return { verdict: charge.verdict }
  return { checkInMs: charge.state === 'processing' ? charge.checkInMs : null }
}

function stillDeciding(inMs: number) {
  return ApplicationFailure.create({
    type: 'StillDeciding',
    message: 'The provider is still deciding',
    category: 'BENIGN',
    nextRetryDelay: inMs,
  })
}
