import { lifecycle, type StatusOf, withVerdicts } from './lifecycle.ts'

/** A merchant sees these messages with a failure's code, and never a provider's own words. */
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

/** `automatic` takes the money once it is authorized, `manual` when the merchant requests it. */
export const captureMethods = ['automatic', 'manual'] as const
export type CaptureMethod = (typeof captureMethods)[number]

/** A payment that is authorized for this long without a capture is canceled. */
export const CAPTURE_WINDOW_MS = 7 * 24 * 60 * 60_000

/** `capture` takes `amount`, in minor units; null takes the whole amount. */
export type PaymentCommand = { kind: 'capture'; amount: number | null } | { kind: 'cancel' }

/**
 * The provider's final answer on a charge. Only a failure has a code. Only a success has
 * `amountCaptured`, in minor units; without `amountCaptured`, the whole amount was captured.
 */
export type Verdict = {
  status: PaymentVerdict
  failureCode: FailureCode | null
  amountCaptured?: number
}
