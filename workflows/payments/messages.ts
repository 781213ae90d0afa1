import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow'
import type { FailureCode, PaymentStatus, PaymentVerdict } from '../../core/lifecycles/payment.ts'

/**
 * Brings the provider's verdict. A failure may say why. Remit itself does not send this signal yet: the
 * provider's webhook will.
 */
export const chargeSettled = defineSignal<[PaymentVerdict, FailureCode?]>('chargeSettled')

/**
 * The merchant's commands: they answer with the payment's final status, whatever it is. A capture of
 * an amount (minor units; null: all) releases the rest. One that comes early waits.
 */
export const capture = defineUpdate<PaymentStatus, [number | null]>('capture')
export const cancel = defineUpdate<PaymentStatus>('cancel')

/** What an operator has found out about a payment that is parked. */
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
