import { lifecycle, type StatusOf, withVerdicts } from './lifecycle.ts'

/** A refund that succeeded can still come back, such as from an account that is closed. */
export const refundLifecycle = withVerdicts(
  lifecycle({
    object: 'refund',
    idPrefix: 're',
    workflow: 'processRefund',
    moves: {
      pending: ['succeeded', 'failed'],
      succeeded: ['failed'],
      failed: [],
    },
    open: ['pending'],
    staysOpen: 'days',
    commands: {},
    events: {
      created: 'A refund was accepted.',
      succeeded: 'A refund reached the payer.',
      failed: 'A refund did not reach the payer.',
    },
  }),
  {
    verdicts: ['succeeded', 'failed'],
    // Why the money did not reach the payer.
    failureCodes: ['declined', 'returned', 'exceeds_charge', 'processing_error'],
    late: {
      succeeded: { after: ['failed'], booked: ['refund_settlement', 'late_refund'] },
      failed: { after: ['succeeded'], booked: ['refund_failure'] },
    },
  },
)

export type RefundStatus = StatusOf<typeof refundLifecycle>
export type RefundFailureCode = (typeof refundLifecycle.failureCodes)[number]

/** What a provider says of a refund once it has decided. Only a failure has a code. */
export type RefundVerdict = {
  status: (typeof refundLifecycle.verdicts)[number]
  failureCode: RefundFailureCode | null
}
