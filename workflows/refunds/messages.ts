import { defineQuery, defineUpdate } from '@temporalio/workflow'
import type {
  RefundFailureCode,
  RefundStatus,
  RefundVerdict,
} from '../../core/lifecycles/refund.ts'

/** Brings an operator's verdict on a parked refund. */
export const resolveRefund = defineUpdate<
  RefundStatus,
  [RefundVerdict['status'], RefundFailureCode | null]
>('resolve')

export type RefundStage = 'refunding' | 'waiting' | 'parked' | 'settling' | 'done'
type RefundState = { stage: RefundStage; status: RefundStatus }
export const refundState = defineQuery<RefundState>('state')
