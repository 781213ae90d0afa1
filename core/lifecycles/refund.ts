import type { Moves } from './transitions.ts'

export const refundStatuses = ['pending', 'succeeded', 'failed'] as const
export type RefundStatus = (typeof refundStatuses)[number]

export const refundVerdicts = ['succeeded', 'failed'] as const

/** A refund that succeeded can still come back, such as from an account that is closed. */
export const refundMoves: Moves<RefundStatus> = {
  pending: ['succeeded', 'failed'],
  succeeded: ['failed'],
  failed: [],
}

/** Why the money did not reach the payer. */
export const refundFailureCodes = [
  'declined',
  'returned',
  'exceeds_charge',
  'processing_error',
] as const
export type RefundFailureCode = (typeof refundFailureCodes)[number]

/** What a provider says of a refund once it has decided. Only a failure has a code. */
export type RefundVerdict = {
  status: (typeof refundVerdicts)[number]
  failureCode: RefundFailureCode | null
}
