import type { Verdict } from '../../core/lifecycles/payment.ts'
import type { Db } from '../../db/client.ts'
import { nextCancelAttempt, setProviderRef } from '../../db/lifecycle-steps.ts'
import type { PaymentRow } from '../../db/payments/payments.ts'
import { payments } from '../../db/payments/schema.ts'
import { markCaptureSent, markChargeSent } from '../../db/payments/steps.ts'
import { type Providers, providerFor } from '../../providers/index.ts'
import type { Charge, Provider } from '../../providers/provider.ts'
import type { Now } from '../now.ts'
import { sendOnce } from './provider-calls.ts'

// The calls of a payment to its provider. Each function returns the provider's answer without
// recording the answer: see `record` in `activities/payments.ts`.

export type ChargeDeps = { db: Db; providers: Providers; now: Now }

const unsent: Charge = { state: 'unsent' }

function providerOf({ providers }: ChargeDeps, { provider }: PaymentRow): Provider {
  return providerFor(providers, provider)
}

export async function retrieveCharge(deps: ChargeDeps, payment: PaymentRow): Promise<Charge> {
  const { providerRef: ref } = payment
  return ref ? providerOf(deps, payment).retrieveCharge(ref) : unsent
}

/** The verdict of a payment that succeeded after it had ended without money, if there is one. */
export async function findLateSuccess(
  deps: ChargeDeps,
  payment: PaymentRow,
): Promise<Verdict | null> {
  if (payment.status === 'succeeded' || !payment.chargeSentAt) return null
  const found = await retrieveCharge(deps, payment)
  return found.state === 'decided' && found.verdict.status === 'succeeded' ? found.verdict : null
}

/** Creates the charge if there is none, and confirms it once: see `sendOnce`. */
export async function sendCharge(deps: ChargeDeps, payment: PaymentRow): Promise<Charge> {
  const { db, now } = deps
  const { id, chargeSentAt: at, chargeAttempt: attempt } = payment
  const provider = providerOf(deps, payment)
  const { providerRef: ref } = payment.providerRef ? payment : await createCharge(deps, payment)
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

async function createCharge(deps: ChargeDeps, payment: PaymentRow) {
  const { id: paymentId, amount, currency, captureMethod, vpa, cardToken } = payment
  const source = vpa ?? cardToken
  if (!source) throw new Error(`Payment ${paymentId} has nothing to charge`)
  const { ref } = await providerOf(deps, payment).createCharge({
    key: `${paymentId}:create:1`,
    paymentId,
    amount,
    currency,
    captureMethod,
    source,
  })
  return setProviderRef(deps.db, payments, paymentId, ref)
}

/** Captures `amount` (minor units) once. If `amount` is null, captures all that is authorized. */
export async function sendCapture(
  deps: ChargeDeps,
  payment: PaymentRow,
  amount: number | null,
): Promise<Charge> {
  const { db, now } = deps
  const { id, providerRef: ref, captureSentAt: at, captureAttempt: attempt } = payment
  if (!ref) return unsent
  const provider = providerOf(deps, payment)
  let captured = payment.amount
  return sendOnce<Charge>({
    sent: { attempt, at },
    windowMs: provider.consistencyWindowMs,
    now,
    async lookUp() {
      const found = await provider.retrieveCharge(ref)
      return found.state === 'authorized' ? null : found
    },
    async mark(number) {
      const requested = { number, amount: amount ?? payment.amount }
      captured = await markCaptureSent(db, id, requested, await now())
    },
    send: (number) => provider.captureCharge(ref, captured, `${id}:capture:${number}`),
  })
}

/** Cancels the charge. If there is no charge yet, no other activity can send one after this. */
export async function sendCancel(deps: ChargeDeps, payment: PaymentRow): Promise<Charge> {
  const { db, now } = deps
  const { id, providerRef: ref, chargeAttempt } = payment
  if (ref) {
    const number = await nextCancelAttempt(db, payments, id)
    return providerOf(deps, payment).cancelCharge(ref, `${id}:cancel:${number}`)
  }
  // Uses up the next attempt's number, so that an activity that was thought dead cannot send it.
  await markChargeSent(db, id, chargeAttempt + 1, await now())
  return unsent
}
