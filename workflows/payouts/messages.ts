import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow'
import type {
  PayoutFailureCode,
  PayoutStatus,
  PayoutVerdictStatus,
} from '../../core/lifecycles/payout.ts'

/**
 * Brings the provider's verdict. A failure may carry a code. Remit itself does not send this signal
 * yet: the provider's webhook will.
 */
export const payoutSettled =
  defineSignal<[PayoutVerdictStatus, PayoutFailureCode?]>('payoutSettled')

/** Each command answers with the payout's status when the command is done, or has come too late. */
export const cancelPayout = defineUpdate<PayoutStatus>('cancel')
/** Two commands tell a sandbox what to do. `fail` also returns a payout with status "completed". */
export const completePayout = defineUpdate<PayoutStatus>('complete')
export const failPayout = defineUpdate<PayoutStatus>('fail')

/** Brings an operator's verdict on a parked payout. */
export const resolvePayout = defineUpdate<
  PayoutStatus,
  [PayoutVerdictStatus, PayoutFailureCode | null]
>('resolve')

export type PayoutStage =
  | 'submitting'
  | 'waiting'
  | 'canceling'
  | 'simulating'
  | 'parked'
  | 'settling'
  | 'done'
type PayoutState = { stage: PayoutStage; status: PayoutStatus }
export const payoutState = defineQuery<PayoutState>('state')
