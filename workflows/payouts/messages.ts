import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow'
import type {
  PayoutFailureCode,
  PayoutStatus,
  PayoutVerdictStatus,
} from '../../core/lifecycles/payout.ts'

/**
 * Brings the provider's verdict. A failure may say why. Remit itself does not send this signal yet: the
 * provider's webhook will.
 */
export const payoutSettled =
  defineSignal<[PayoutVerdictStatus, PayoutFailureCode?]>('payoutSettled')

/** Each answers with the payout's status once it is done, or has turned out to come too late. */
export const cancelPayout = defineUpdate<PayoutStatus>('cancel')
/** What a sandbox is told. `fail` returns a payout that is completed. */
export const completePayout = defineUpdate<PayoutStatus>('complete')
export const failPayout = defineUpdate<PayoutStatus>('fail')

/** What an operator has found out about a payout that is parked. */
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
