import { defineQuery, defineUpdate } from '@temporalio/workflow'
import type { PaymentLinkStatus } from '../../core/lifecycles/payment-link.ts'

/** Cancels the link. The answer is the link's status, which is `paid` if a payment came first. */
export const closePaymentLink = defineUpdate<PaymentLinkStatus>('close')

export type PaymentLinkStage = 'active' | 'closing' | 'awaiting_payment_end' | 'done'
type PaymentLinkState = { stage: PaymentLinkStage; status: PaymentLinkStatus }
export const paymentLinkState = defineQuery<PaymentLinkState>('state')
