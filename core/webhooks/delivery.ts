import type { EventType } from './events.ts'

export const deliveryStatuses = ['pending', 'delivered', 'failed', 'skipped'] as const
export type DeliveryStatus = (typeof deliveryStatuses)[number]

/** A crash leaves an attempt `sending`; the next one finds it there and calls it `interrupted`. */
export const attemptStates = ['sending', 'succeeded', 'failed', 'interrupted'] as const

export const endpointStatuses = ['enabled', 'disabled'] as const

/** One event on its way to one endpoint: what a workflow is told, ids and a host, never content. */
export type Delivery = {
  id: string
  merchantId: string
  endpointId: string
  eventType: EventType
  host: string
}

/** The type of the failure that ends an attempt, in Temporal's words. */
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

/** How a delivery's workflow ends well: `skipped` where the endpoint is gone or disabled. */
export type DeliveryResult =
  | { status: 'delivered'; attempt: number; httpStatus: number; latencyMs: number }
  | { status: 'skipped' | 'delivered' }
