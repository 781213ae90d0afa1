import { orderPayable } from '../orders/payable.ts'
import { paymentLinkPayable } from '../payment-links/payable.ts'
import type { Payable } from './payable.ts'
import type { PaymentRow } from './payments.ts'

/** This map has every kind of payable, by the column of `payments` that refers to it. */
const payables = { orderId: orderPayable, paymentLinkId: paymentLinkPayable } as const
type Column = keyof typeof payables
const columns = Object.keys(payables) as Column[]

/** Returns the payable of a payment, or null if the payment is for no order and no payment link. */
export function payableOf(payment: Pick<PaymentRow, Column>): (Payable & { id: string }) | null {
  for (const column of columns) {
    const id = payment[column]
    if (id !== null) return { id, ...payables[column] }
  }
  return null
}
