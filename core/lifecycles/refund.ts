import { lifecycle, type StatusOf, withVerdicts } from './lifecycle.ts'

/** A refund that succeeded can still come back, for example from an account that is closed. */
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
    // A code says why the money did not reach the payer.
    failureCodes: ['declined', 'returned', 'exceeds_charge', 'processing_error'],
    late: {
      succeeded: { after: ['failed'], booked: ['refund_settlement', 'late_refund'] },
      failed: { after: ['succeeded'], booked: ['refund_failure'] },
    },
  },
)

export type RefundStatus = StatusOf<typeof refundLifecycle>
export type RefundFailureCode = (typeof refundLifecycle.failureCodes)[number]

/** The provider's final answer on a refund. Only a failure has a code. */
export type RefundVerdict = {
  status: (typeof refundLifecycle.verdicts)[number]
  failureCode: RefundFailureCode | null
}
