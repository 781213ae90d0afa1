import type { News } from '../core/lifecycles/news.ts'
import type { CaptureMethod, Verdict } from '../core/lifecycles/payment.ts'
import type { Destination, PayoutVerdict } from '../core/lifecycles/payout.ts'
import type { RefundVerdict } from '../core/lifecycles/refund.ts'
import type { Card, CardToken } from '../core/money/card.ts'

/** `source` is a vpa or a token of a card. `key` is the idempotency key of this call. */
type ChargeRequest = {
  key: string
  paymentId: string
  amount: number // in minor units
  currency: string
  source: string
  captureMethod: CaptureMethod
}

/** `chargeRef` is the id that the provider gave the charge. `refundId` finds the refund again. */
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

/** The provider suggests the next look in `checkInMs`; null if it suggests none. */
type Waiting = { checkInMs: number | null }

/** A charge is `unsent` if it was created and has taken no money, and `processing` if undecided. */
export type Charge =
  | { state: 'unsent' }
  | ({ state: 'processing' } & Waiting)
  | { state: 'authorized' }
  | { state: 'decided'; verdict: Verdict }

/** A refund is `unsent` if the provider does not know it. `ref` is the provider's own id. */
export type ProviderRefund =
  | { state: 'unsent' }
  | ({ state: 'processing'; ref: string } & Waiting)
  | { state: 'decided'; ref: string; verdict: RefundVerdict }

/** An `accepted` payout can still be canceled. A `processing` payout is on its way. */
export type ProviderPayout =
  | { state: 'unsent' }
  | ({ state: 'accepted' | 'processing'; ref: string } & Waiting)
  | { state: 'decided'; ref: string; verdict: PayoutVerdict }

/**
 * The provider answered, and nothing happened: the request can be sent again at once, under another
 * key. Any other error says nothing about what the provider has done, or may still do.
 */
export class NothingHappened extends Error {
  override readonly name = 'NothingHappened'
}

/**
 * A decline is a verdict, and a method returns it. An error is an accident. Unless the error is
 * `NothingHappened`, the outcome is unknown, and Remit looks up the outcome before it sends again.
 * A charge is looked up by `ref`. A refund or payout is looked up by our own id, because it has no
 * id of the provider before it is sent.
 */
export interface Provider {
  /** A look-up may not show what a call did until this long after the call. */
  consistencyWindowMs: number
  createCardToken(card: Card, signal: AbortSignal): Promise<CardToken>
  /** Creates the charge under the provider's own id `ref`, and takes no money yet. */
  createCharge(request: ChargeRequest): Promise<{ ref: string }>
  /** Takes the money, or with manual capture reserves the money. */
  confirmCharge(ref: string, key: string): Promise<Charge>
  retrieveCharge(ref: string): Promise<Charge>
  /** Takes `amount` (minor units) from the authorized amount, and releases the rest. */
  captureCharge(ref: string, amount: number, key: string): Promise<Charge>
  /** Cancels an open charge and returns the provider's last word: a success stays a success. */
  cancelCharge(ref: string, key: string): Promise<Charge>

  createRefund(request: RefundRequest): Promise<ProviderRefund>
  retrieveRefund(refundId: string, chargeRef: string): Promise<ProviderRefund>

  createPayout(request: PayoutRequest): Promise<ProviderPayout>
  retrievePayout(payoutId: string): Promise<ProviderPayout>
  /** Cancels a payout only if it is still `accepted`, and returns the payout after that. */
  cancelPayout(payoutId: string, key: string): Promise<ProviderPayout>
  /** Decides an open payout, or sends a completed payout back. Only a sandbox has this method. */
  simulatePayout?(payoutId: string, verdict: PayoutVerdict): Promise<ProviderPayout>

  /** Yields each verdict reached from `since` to `until`. A verdict may come more than once. */
  listNews(since: Date, until: Date): AsyncIterable<News>
}
