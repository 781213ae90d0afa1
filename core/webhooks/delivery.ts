import type { EventType } from './events.ts'

export const deliveryStatuses = ['pending', 'delivered', 'failed', 'skipped'] as const
export type DeliveryStatus = (typeof deliveryStatuses)[number]

/** A crash leaves an attempt `sending`. The next attempt sets the crashed one to `interrupted`. */
export const attemptStates = ['sending', 'succeeded', 'failed', 'interrupted'] as const

export const endpointStatuses = ['enabled', 'disabled'] as const

/** One event on its way to one endpoint. A workflow gets only these ids and a host, no content. */
export type Delivery = {
  id: string
  merchantId: string
  endpointId: string
  eventType: EventType
  host: string
}

/** A failed attempt throws a Temporal failure with this `type`. */
export const ATTEMPT_FAILED = 'WebhookAttemptFailed'

/** `httpStatus` is null when no answer came, `retryInMs` when no attempt follows. */
export type FailedAttempt = {
  id: string
  run: string
  attempt: number
  httpStatus: number | null
  latencyMs: number
  retryInMs: number | null
}

/** A delivery's workflow returns `skipped` if the endpoint is deleted or disabled. */
export type DeliveryResult =
  | { status: 'delivered'; attempt: number; httpStatus: number; latencyMs: number }
  | { status: 'skipped' | 'delivered' }
