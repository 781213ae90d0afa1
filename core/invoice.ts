export const invoiceStatuses = ['sent', 'partially_paid', 'paid'] as const
export type InvoiceStatus = (typeof invoiceStatuses)[number]

/** What an invoice is once so much of it has been paid in all. Both are in minor units. */
export function invoiceStatus(amount: number, amountPaid: number): InvoiceStatus {
  if (amountPaid >= amount) return 'paid'
  return amountPaid > 0 ? 'partially_paid' : 'sent'
}

/** `ignored` and `rejected` are what providers' events can become. */
export const inboundEventStatuses = ['pending', 'applied', 'ignored', 'rejected'] as const
export type InboundEventStatus = (typeof inboundEventStatuses)[number]
