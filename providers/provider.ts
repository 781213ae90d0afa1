import type { Card, CardToken } from '../core/card.ts'
import type { CaptureMethod, Verdict } from '../core/payment.ts'

/** `source`: a vpa, or a token that stands for a card. `key`: the idempotency key of this call. */
export type ChargeRequest = {
  key: string
  paymentId: string
  amount: number // in minor units
  currency: string
  source: string
  captureMethod: CaptureMethod
}

/**
 * `unsent`: it was created and has taken nothing. `processing`: undecided; `checkInMs` is when the
 * provider itself says that it is worth asking again, null where it doesn't say.
 */
export type Charge =
  | { state: 'unsent' }
  | { state: 'processing'; checkInMs: number | null }
  | { state: 'authorized' }
  | { state: 'decided'; verdict: Verdict }

/**
 * A decline is a verdict and is returned. Whatever a provider throws is an accident: the outcome is
 * unknown, and is looked up by `ref` before anything is sent again.
 */
export interface Provider {
  /** How long after a charge was sent a look-up may not know of it yet. */
  consistencyWindowMs: number
  createCardToken(card: Card, signal: AbortSignal): Promise<CardToken>
  /** Makes the charge known under an id of its own, and takes no money yet. */
  createCharge(request: ChargeRequest): Promise<{ ref: string }>
  /** Takes the money, or with manual capture reserves it. */
  confirmCharge(ref: string, key: string): Promise<Charge>
  retrieveCharge(ref: string): Promise<Charge>
  /** Takes `amount` (minor units) of what is authorized, and releases the rest. */
  captureCharge(ref: string, amount: number, key: string): Promise<Charge>
  /** Returns the provider's last word: a charge that has succeeded by then has succeeded. */
  cancelCharge(ref: string, key: string): Promise<Charge>
}
