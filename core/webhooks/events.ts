/**
 * The event catalog: every type an endpoint can subscribe to, and when it is sent. An event carries
 * its resource, exactly as the API shows it at that moment.
 */
export const eventCatalog = {
  'payment.created': 'A payment was accepted and is about to be charged.',
  'payment.authorized': 'The funds of a payment are reserved and wait for capture.',
  'payment.succeeded': 'A payment was captured.',
  'payment.failed': 'A payment was declined or could not be charged.',
  'payment.canceled': 'A payment was canceled before it was captured.',
  'refund.created': 'A refund was accepted.',
  'refund.succeeded': 'A refund reached the payer.',
  'refund.failed': 'A refund did not reach the payer.',
  'payment_link.created': 'A payment link was created.',
  'payment_link.paid': 'A payment link was paid.',
  'payment_link.expired': 'A payment link expired unpaid.',
  'payment_link.canceled': 'A payment link was canceled.',
  'payout.created': 'A payout was accepted and its funds are held.',
  'payout.processing': 'A payout was handed to the provider.',
  'payout.completed': 'A payout reached its destination.',
  'payout.failed': 'A payout failed or was returned.',
  'payout.canceled': 'A payout was canceled.',
  'order.created': 'An order was created.',
  'order.paid': 'An order was paid.',
  'order.fulfilled': 'An order was fulfilled.',
  'order.canceled': 'An order was canceled.',
  'invoice.created': 'An invoice was created.',
  'invoice.partially_paid': 'Part of an invoice was paid.',
  'invoice.paid': 'An invoice was paid in full.',
  'dispute.created': 'A payer disputed a payment.',
  'dispute.updated': 'A dispute changed.',
  'dispute.resolved': 'A dispute was won or lost.',
  'subscription.created': 'A subscription was created.',
  'subscription.updated': 'A subscription changed.',
  'subscription.past_due': 'A subscription could not be billed.',
  'subscription.canceled': 'A subscription was canceled.',
  'account.updated': 'The account changed.',
  'webhook_endpoint.disabled': 'A webhook endpoint was disabled because it no longer answers.',
} as const

export type EventType = keyof typeof eventCatalog
export const eventTypes = Object.keys(eventCatalog) as [EventType, ...EventType[]]
