export const invoiceStatuses = ['sent', 'partially_paid', 'paid'] as const
export type InvoiceStatus = (typeof invoiceStatuses)[number]

/** Twelve digits, as an amount has at most. */
export const MAX_INVOICE_NUMBER = 999_999_999_999

/** What an invoice is once so much of it has been paid in all. Both are in minor units. */
export function invoiceStatus(amount: number, amountPaid: number): InvoiceStatus {
  if (amountPaid >= amount) return 'paid'
  return amountPaid > 0 ? 'partially_paid' : 'sent'
}

/** `ignored` and `rejected` are what providers' events can become. */
export const inboundEventStatuses = ['pending', 'applied', 'ignored', 'rejected'] as const
export type InboundEventStatus = (typeof inboundEventStatuses)[number]
