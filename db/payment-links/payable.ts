import { findRow } from '../lifecycle-steps.ts'
import type { Payable } from '../payments/payable.ts'
import { paymentLinks } from '../payments/schema.ts'
import { markLinkPaid } from './steps.ts'

export const paymentLinkPayable: Payable = {
  noun: 'a payment link',
  paidEvent: 'payment_link.paid',
  isPaidBy: async (tx, id, paymentId) =>
    (await findRow(tx, paymentLinks, id)).paymentId === paymentId,
  markPaid: markLinkPaid,
  giveBack: async () => false, // a link never closes while a payment for it may still succeed
}
