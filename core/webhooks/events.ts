import { type LifecycleName, lifecycleNames, lifecycles } from '../lifecycles/index.ts'

type EventsOf<L extends { object: string; events: object }> =
  `${L['object']}.${keyof L['events'] & string}`
type LifecycleEvent = { [N in LifecycleName]: EventsOf<(typeof lifecycles)[N]> }[LifecycleName]

function lifecycleEvents() {
  const all = lifecycleNames.map((name) => lifecycles[name])
  return Object.fromEntries(
    all.flatMap(({ object, events }) =>
      Object.entries<string>(events).map(([step, description]) => [
        `${object}.${step}`,
        description,
      ]),
    ),
  ) as Record<LifecycleEvent, string>
}

/**
 * The event catalog: every type an endpoint can subscribe to, and when it is sent. An event carries
 * its resource, exactly as the API shows it at that moment.
 */
export const eventCatalog = {
  ...lifecycleEvents(),
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
