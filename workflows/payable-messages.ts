import { defineSignal } from '@temporalio/workflow'
import type { PaymentVerdict } from '../core/payment.ts'

/** A payment for an order or a payment link has ended. `isPaid`: by this payment. */
export type PaymentEnded = { paymentId: string; status: PaymentVerdict; isPaid: boolean }

/** Sent by the payment's own workflow. */
export const paymentEnded = defineSignal<[PaymentEnded]>('paymentEnded')
