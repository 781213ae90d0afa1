import { defineSignal } from '@temporalio/workflow'

/** `isPaid` is true if this payment paid the order or the payment link that receives the signal. */
type PaymentEnded = { paymentId: string; isPaid: boolean }

/** A payment's workflow sends this signal to its order or payment link when the payment ends. */
export const paymentEnded = defineSignal<[PaymentEnded]>('paymentEnded')
