import type { Moves } from './transitions.ts'

export const paymentStatuses = ['pending', 'authorized', 'succeeded', 'failed', 'canceled'] as const
export type PaymentStatus = (typeof paymentStatuses)[number]

export const paymentVerdicts = ['succeeded', 'failed', 'canceled'] as const
export type PaymentVerdict = (typeof paymentVerdicts)[number]

export const paymentMethods = ['upi', 'card'] as const
export type PaymentMethod = (typeof paymentMethods)[number]

/** Automatic takes the money as soon as it is authorized, manual when the merchant says so. */
export const captureMethods = ['automatic', 'manual'] as const
export type CaptureMethod = (typeof captureMethods)[number]

/** An authorized payment that is not captured by then is canceled. */
export const CAPTURE_WINDOW_MS = 7 * 24 * 60 * 60_000

export const paymentMoves: Moves<PaymentStatus> = {
  pending: ['authorized', 'succeeded', 'failed', 'canceled'],
  authorized: ['succeeded', 'failed', 'canceled'],
  succeeded: [],
  failed: [],
  canceled: [],
}

/** The messages that go with a failure's code. A provider's own words never reach a merchant. */
export const failureMessages = {
  card_declined: 'The card was declined.',
  insufficient_funds: 'The card has insufficient funds.',
  upi_declined: 'The payer declined the UPI request.',
  expired: 'The payment was not completed in time.',
  processing_error: 'The provider could not process the payment.',
} as const

export type FailureCode = keyof typeof failureMessages

/**
 * What a provider says of a charge once it has decided. Only a failure has a code, only a success an
 * amount, in minor units: without one, all of it was captured.
 */
export type Verdict = {
  status: PaymentVerdict
  failureCode: FailureCode | null
  amountCaptured?: number
}
