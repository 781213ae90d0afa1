import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow'
import type { FailureCode, PaymentStatus, PaymentVerdict } from '../../core/lifecycles/payment.ts'

/**
 * Brings the provider's verdict. A failure may carry a code. Remit itself does not send this signal
 * yet: the provider's webhook will.
 */
export const chargeSettled = defineSignal<[PaymentVerdict, FailureCode?]>('chargeSettled')

/**
 * The merchant's commands. Each answers with the payment's final status, whatever that status is. A
 * capture of an amount (minor units; null: all) releases the rest. A capture that comes early
 * waits.
 */
export const capture = defineUpdate<PaymentStatus, [number | null]>('capture')
export const cancel = defineUpdate<PaymentStatus>('cancel')

/** Brings an operator's verdict on a parked payment. */
export const resolve = defineUpdate<PaymentStatus, [PaymentVerdict, FailureCode | null]>('resolve')

export type PaymentStage =
  | 'charging'
  | 'waiting'
  | 'authorized'
  | 'capturing'
  | 'canceling'
  | 'parked'
  | 'settling'
  | 'done'
type PaymentState = { stage: PaymentStage; status: PaymentStatus }
export const state = defineQuery<PaymentState>('state')
