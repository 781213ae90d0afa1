import type { News } from '../core/lifecycles/news.ts'
import type { CaptureMethod, Verdict } from '../core/lifecycles/payment.ts'
import type { Destination, PayoutVerdict } from '../core/lifecycles/payout.ts'
import type { RefundVerdict } from '../core/lifecycles/refund.ts'
import type { Card, CardToken } from '../core/money/card.ts'

/** `source`: a vpa, or a token that stands for a card. `key`: the idempotency key of this call. */
type ChargeRequest = {
  key: string
  paymentId: string
  amount: number // in minor units
  currency: string
  source: string
  captureMethod: CaptureMethod
}

/** `chargeRef`: the provider's id of what is refunded. `refundId`: what it is found by again. */
type RefundRequest = {
  key: string
  refundId: string
  chargeRef: string
  amount: number // in minor units
  currency: string
}

type PayoutRequest = {
  key: string
  payoutId: string
  amount: number // in minor units
  currency: string
  destination: Destination
}

/** `checkInMs` is when the provider itself says that it is worth asking again; null: it doesn't say. */
type Waiting = { checkInMs: number | null }

/**
 * `unsent`: it was created and has taken nothing. `processing`: undecided.
 */
export type Charge =
  | { state: 'unsent' }
  | ({ state: 'processing' } & Waiting)
  | { state: 'authorized' }
  | { state: 'decided'; verdict: Verdict }

/** `unsent`: the provider does not know of it. `ref`: the provider's own id. */
export type ProviderRefund =
  | { state: 'unsent' }
  | ({ state: 'processing'; ref: string } & Waiting)
  | { state: 'decided'; ref: string; verdict: RefundVerdict }

/** `accepted` can still be canceled, `processing` is on its way. */
export type ProviderPayout =
  | { state: 'unsent' }
  | ({ state: 'accepted' | 'processing'; ref: string } & Waiting)
  | { state: 'decided'; ref: string; verdict: PayoutVerdict }

/**
 * The provider has answered, and nothing has happened: what was sent can be sent again at once, under
 * another key. Whatever else it throws says nothing of what it has done, or may still do.
 */
export class NothingHappened extends Error {
  override readonly name = 'NothingHappened'
}

/**
 * A decline is a verdict and is returned. Whatever a provider throws is an accident: the outcome is
 * unknown, and is looked up before anything is sent again: a charge by `ref`, what leaves us by our
 * own id, because it has none of the provider's before it is sent.
 */
export interface Provider {
  /** How long after something was sent a look-up may not know of it yet. */
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

  createRefund(request: RefundRequest): Promise<ProviderRefund>
  retrieveRefund(refundId: string, chargeRef: string): Promise<ProviderRefund>

  createPayout(request: PayoutRequest): Promise<ProviderPayout>
  retrievePayout(payoutId: string): Promise<ProviderPayout>
  /** Returns what it is then: only what was still `accepted` is canceled. */
  cancelPayout(payoutId: string, key: string): Promise<ProviderPayout>
  /** Decides a payout, or returns one that is completed. Only a sandbox can be told what to do. */
  simulatePayout?(payoutId: string, verdict: PayoutVerdict): Promise<ProviderPayout>

  /** Each verdict that was reached from `since` to `until`. One may come more than once. */
  listNews(since: Date, until: Date): AsyncIterable<News>
}
