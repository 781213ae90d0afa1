import { lifecycle, type StatusOf } from './lifecycle.ts'

export const invoiceStatuses = ['sent', 'partially_paid', 'paid'] as const
export type InvoiceStatus = (typeof invoiceStatuses)[number]

/** Twelve digits, as an amount has at most. */
export const MAX_INVOICE_NUMBER = 999_999_999_999

/** What an invoice is once so much of it has been paid in all. Both are in minor units. */
export function invoiceStatus(amount: number, amountPaid: number): InvoiceStatus {
  if (amountPaid >= amount) return 'paid'
  return amountPaid > 0 ? 'partially_paid' : 'sent'
}

/** A payment of an invoice that the merchant's bank reports. Its events are those of the invoice. */
export const inboundEventLifecycle = lifecycle({
  object: 'inbound_event',
  idPrefix: 'ie',
  workflow: 'applyInboundEvent',
  moves: {
    pending: ['applied', 'ignored', 'rejected'],
    applied: [],
    // Providers' events can end so.
    ignored: [],
    rejected: [],
  },
  open: ['pending'],
  staysOpen: 'days',
  commands: {},
  events: {},
})

export type InboundEventStatus = StatusOf<typeof inboundEventLifecycle>
