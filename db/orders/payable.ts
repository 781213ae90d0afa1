import { findRow } from '../lifecycle-steps.ts'
import type { Payable } from '../payments/payable.ts'
import { orders } from '../payments/schema.ts'
import { compensateAgain, markOrderPaid } from './steps.ts'

export const orderPayable: Payable = {
  noun: 'an order',
  paidEvent: 'order.paid',
  isPaidBy: async (tx, id, paymentId) => (await findRow(tx, orders, id)).paymentId === paymentId,
  markPaid: markOrderPaid,
  giveBack: compensateAgain,
}
