import { lifecycle, type StatusOf, withVerdicts } from './lifecycle.ts'

/** The messages that go with a failure's code. A provider's own words never reach a merchant. */
export const failureMessages = {
  card_declined: 'The card was declined.',
  insufficient_funds: 'The card has insufficient funds.',
  upi_declined: 'The payer declined the UPI request.',
  expired: 'The payment was not completed in time.',
  processing_error: 'The provider could not process the payment.',
} as const

export type FailureCode = keyof typeof failureMessages

export const paymentLifecycle = withVerdicts(
  lifecycle({
    object: 'payment',
    idPrefix: 'pay',
    workflow: 'processPayment',
    moves: {
      pending: ['authorized', 'succeeded', 'failed', 'canceled'],
      authorized: ['succeeded', 'failed', 'canceled'],
      succeeded: [],
      failed: [],
      canceled: [],
    },
    open: ['pending', 'authorized'],
    staysOpen: 'days',
    commands: {
      capture: { from: ['authorized'], to: 'succeeded', done: 'captured' },
      cancel: { from: ['pending', 'authorized'], to: 'canceled', done: 'canceled' },
    },
    events: {
      created: 'A payment was accepted and is about to be charged.',
      authorized: 'The funds of a payment are reserved and wait for capture.',
      succeeded: 'A payment was captured.',
      failed: 'A payment was declined or could not be charged.',
      canceled: 'A payment was canceled before it was captured.',
    },
  }),
  {
    verdicts: ['succeeded', 'failed', 'canceled'],
    failureCodes: Object.keys(failureMessages) as FailureCode[],
    late: {
      succeeded: { after: ['failed', 'canceled'], booked: ['late_payment'] },
      failed: null,
      canceled: null,
    },
  },
)

export type PaymentStatus = StatusOf<typeof paymentLifecycle>
export type PaymentVerdict = (typeof paymentLifecycle.verdicts)[number]

export const paymentMethods = ['upi', 'card'] as const
export type PaymentMethod = (typeof paymentMethods)[number]

/** Automatic takes the money as soon as it is authorized, manual when the merchant says so. */
export const captureMethods = ['automatic', 'manual'] as const
export type CaptureMethod = (typeof captureMethods)[number]

/** An authorized payment that is not captured by then is canceled. */
export const CAPTURE_WINDOW_MS = 7 * 24 * 60 * 60_000

/** A command on a payment: `capture` takes `amount`, in minor units; null is all of it. */
export type PaymentCommand = { kind: 'capture'; amount: number | null } | { kind: 'cancel' }

/**
 * What a provider says of a charge once it has decided. Only a failure has a code, only a success an
 * amount, in minor units: without one, all of it was captured.
 */
export type Verdict = {
  status: PaymentVerdict
  failureCode: FailureCode | null
  amountCaptured?: number
}
