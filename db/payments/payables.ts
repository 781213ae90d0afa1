import { orderPayable } from '../orders/payable.ts'
import { paymentLinkPayable } from '../payment-links/payable.ts'
import type { Payable } from './payable.ts'
import type { PaymentRow } from './payments.ts'

/** Everything that can be paid for, by the column of `payments` that names it. */
const payables = { orderId: orderPayable, paymentLinkId: paymentLinkPayable } as const
type Column = keyof typeof payables
const columns = Object.keys(payables) as Column[]

/** What a payment is for; null for a payment that stands alone. */
export function payableOf(payment: Pick<PaymentRow, Column>): (Payable & { id: string }) | null {
  for (const column of columns) {
    const id = payment[column]
    if (id !== null) return { id, ...payables[column] }
  }
  return null
}
