import { lifecycle, type StatusOf } from './lifecycle.ts'

export const invoiceStatuses = ['sent', 'partially_paid', 'paid'] as const
export type InvoiceStatus = (typeof invoiceStatuses)[number]

/** An invoice number has at most twelve digits, like an amount. */
export const MAX_INVOICE_NUMBER = 999_999_999_999

/** Returns the status of an invoice once `amountPaid` is paid in all. Both are in minor units. */
export function invoiceStatus(amount: number, amountPaid: number): InvoiceStatus {
  if (amountPaid >= amount) return 'paid'
  return amountPaid > 0 ? 'partially_paid' : 'sent'
}

/**
 * A payment of an invoice that the merchant's bank reports; its events are the invoice's events.
 */
export const inboundEventLifecycle = lifecycle({
  object: 'inbound_event',
  idPrefix: 'ie',
  workflow: 'applyInboundEvent',
  moves: {
    pending: ['applied', 'ignored', 'rejected'],
    applied: [],
    // A provider's event can end as `ignored` or `rejected`.
    ignored: [],
    rejected: [],
  },
  open: ['pending'],
  staysOpen: 'days',
  commands: {},
  events: {},
})

export type InboundEventStatus = StatusOf<typeof inboundEventLifecycle>
