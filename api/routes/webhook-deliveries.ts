import { z } from '@hono/zod-openapi'
import { attemptStates, deliveryStatuses } from '../../core/webhooks/delivery.ts'
import { eventTypes } from '../../core/webhooks/events.ts'
import {
  getDelivery,
  listDeliveries,
  resendDelivery,
  toAttempt,
  toDelivery,
  toStartable,
} from '../../db/webhooks/deliveries.ts'
import { deliveryStart } from '../../temporal/starts.ts'
import { Id, Timestamp } from '../http/fields.ts'
import { createOnce } from '../http/idempotency.ts'
import { listHandler, listRoute, retrieveHandler, retrieveRoute } from '../http/resource.ts'
import {
  type Deps,
  idempotencyKey,
  idParam,
  json,
  merchantRoute,
  newRouter,
} from '../http/router.ts'

const Headers = z.record(z.string(), z.string())

const Attempt = z.object({
  id: z.string().openapi({ example: 'att_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
  attempt: z
    .int()
    .openapi({ description: 'The number of the attempt. Each run of the delivery starts at 1' }),
  state: z.enum(attemptStates),
  http_status: z.int().nullable().openapi({ description: 'Null: the server sent no answer' }),
  error: z.string().nullable(),
  latency_ms: z.int().nullable(),
  reconnected: z.boolean().openapi({
    description:
      'True if the request was sent a second time within this attempt, on a new connection, because the server had closed the one that was kept open. The server may have received the request twice.',
  }),
  next_attempt_at: Timestamp.nullable(),
  request: z.object({ url: z.string(), headers: Headers, body_sha256: z.string() }),
  response: z.object({
    headers: Headers.nullable(),
    body: z.string().nullable().openapi({ description: 'The first 4 KiB of the body' }),
  }),
  created_at: Timestamp,
})

const Delivery = z
  .object({
    id: z.string().openapi({ example: 'whd_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('webhook_delivery'),
    status: z.enum(deliveryStatuses),
    event_id: z.string(),
    event_type: z.enum(eventTypes),
    endpoint_id: z.string(),
    url: z.string(),
    resend_of: z
      .string()
      .nullable()
      .openapi({ description: 'The earlier delivery of the same event' }),
    next_attempt_at: Timestamp.nullable(),
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .openapi('WebhookDelivery')

const DeliveryWithAttempts = Delivery.extend({ attempts: z.array(Attempt) }).openapi(
  'WebhookDeliveryWithAttempts',
)

const retrieve = retrieveRoute(
  '/webhook_deliveries/{id}',
  'retrieveWebhookDelivery',
  DeliveryWithAttempts,
)

const list = listRoute('/webhook_deliveries', 'listWebhookDeliveries', Delivery, {
  status: z.enum(deliveryStatuses).optional(),
  endpoint_id: Id.optional(),
  event_id: Id.optional(),
})

const resend = merchantRoute(
  {
    method: 'post',
    path: '/webhook_deliveries/{id}/resend',
    operationId: 'resendWebhookDelivery',
    description:
      'Sends the same event to the same endpoint again, with the same body, the same `webhook-id` and a new schedule. The answer is 409 if the delivery is pending, or if its endpoint is disabled or deleted.',
    request: { headers: idempotencyKey, params: idParam },
    responses: { 201: json(Delivery, 'The new delivery') },
  },
  ['conflict'],
)

export function webhookDeliveryRoutes(deps: Deps) {
  const { db } = deps
  const answerList = listHandler(db, listDeliveries, toDelivery)
  return newRouter()
    .openapi(
      retrieve,
      retrieveHandler(db, getDelivery, ({ delivery, attempts }) => ({
        ...toDelivery(delivery),
        attempts: attempts.map(toAttempt),
      })),
    )
    .openapi(list, (c) => {
      const { endpoint_id: endpointId, event_id: eventId, ...query } = c.req.valid('query')
      return answerList(c, { ...query, endpointId, eventId })
    })
    .openapi(resend, async (c) => {
      const { id } = c.req.valid('param')
      const body = await createOnce(c, deps, null, {
        write: async (tx) => {
          const resent = await resendDelivery(tx, c.var.caller.merchantId, id, new Date())
          return { body: toDelivery(resent), start: deliveryStart(toStartable(resent)) }
        },
      })
      return c.json(body, 201)
    })
}
