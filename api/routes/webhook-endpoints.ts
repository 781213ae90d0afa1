import { z } from '@hono/zod-openapi'
import type { Cipher } from '../../core/secrets.ts'
import { endpointStatuses } from '../../core/webhooks/delivery.ts'
import { eventTypes } from '../../core/webhooks/events.ts'
import { checkWebhookUrl, type OutboundPolicy } from '../../core/webhooks/public-address.ts'
import { newWebhookSecret } from '../../core/webhooks/signature.ts'
import type { Tx } from '../../db/client.ts'
import { newId } from '../../db/ids.ts'
import {
  deleteEndpoint,
  disableEndpoint,
  getEndpoint,
  insertEndpoint,
  listEndpoints,
  secretContext,
  toEndpoint,
  updateEndpoint,
} from '../../db/webhooks/endpoints.ts'
import { deletedOf, Text, Timestamp } from '../http/fields.ts'
import {
  answerCreated,
  creationRoute,
  listHandler,
  listRoute,
  retrieveHandler,
  retrieveRoute,
} from '../http/resource.ts'
import { type Deps, idParam, json, merchantRoute, newRouter } from '../http/router.ts'

const RETRIES_MAX = 20
const DAY_SECONDS = 86_400

const EventTypes = z
  .array(z.enum(eventTypes))
  .min(1)
  .refine(
    (types) => new Set(types).size === types.length,
    'The list must have each event type once.',
  )
  .openapi({ uniqueItems: true })
const NewEventTypes = EventTypes.transform((types) => new Set(types))
const RetrySchedule = z
  .array(z.int().min(1).max(DAY_SECONDS))
  .max(RETRIES_MAX)
  .openapi({
    description: 'The wait after each failed attempt, in seconds. Null: the default schedule',
    example: [60, 300, 1800, 7200],
  })

export const Endpoint = z
  .object({
    id: z.string().openapi({ example: 'we_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('webhook_endpoint'),
    url: z.string(),
    description: z.string().nullable(),
    event_types: EventTypes.nullable().openapi({
      description: 'Null: the endpoint gets every type',
    }),
    retry_schedule: RetrySchedule.nullable(),
    status: z.enum(endpointStatuses),
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .openapi('WebhookEndpoint')

const CreatedEndpoint = Endpoint.extend({
  secret: z.string().openapi({ description: 'Signs every webhook. Only this answer shows it' }),
}).openapi('CreatedWebhookEndpoint')

const example = { url: 'https://shop.example/webhooks', event_types: ['payment.succeeded'] }

/** The configuration decides which URLs are allowed, so the schema needs the configuration. */
function endpointInput(outbound: OutboundPolicy) {
  const Url = z
    .string()
    .superRefine((url, context) => {
      const refusal = checkWebhookUrl(url, outbound)
      if (refusal) context.addIssue({ code: 'custom', message: refusal })
    })
    .openapi({ format: 'uri', maxLength: 2048, example: 'https://shop.example/webhooks' })
  return z.strictObject({
    url: Url,
    event_types: NewEventTypes.nullable().optional(),
    description: Text.nullable().optional(),
    retry_schedule: RetrySchedule.nullable().optional(),
  })
}

const one = { params: idParam }

const retrieve = retrieveRoute('/webhook_endpoints/{id}', 'retrieveWebhookEndpoint', Endpoint)

const list = listRoute('/webhook_endpoints', 'listWebhookEndpoints', Endpoint, {
  status: z.enum(endpointStatuses).optional(),
})

const enable = merchantRoute({
  method: 'post',
  path: '/webhook_endpoints/{id}/enable',
  operationId: 'enableWebhookEndpoint',
  request: one,
  responses: { 200: json(Endpoint) },
})

const disable = merchantRoute({
  method: 'post',
  path: '/webhook_endpoints/{id}/disable',
  operationId: 'disableWebhookEndpoint',
  request: one,
  responses: { 200: json(Endpoint, 'The endpoint. Its pending deliveries are skipped') },
})

const remove = merchantRoute({
  method: 'delete',
  path: '/webhook_endpoints/{id}',
  operationId: 'deleteWebhookEndpoint',
  request: one,
  responses: {
    200: json(
      deletedOf('webhook_endpoint'),
      'The endpoint is deleted. Its pending deliveries are skipped',
    ),
  },
})

export function webhookEndpointRoutes(deps: Deps) {
  const { db, cipher } = deps
  const Input = endpointInput(deps.outbound)
  const create = creationRoute({
    path: '/webhook_endpoints',
    operationId: 'createWebhookEndpoint',
    input: Input.openapi('CreateWebhookEndpoint', { example }),
    output: CreatedEndpoint,
    result: 'The endpoint, with its secret',
    errors: ['endpoint_limit_reached'],
  })
  const changes = json(Input.partial().openapi('UpdateWebhookEndpoint', { example }))
  const update = merchantRoute({
    method: 'patch',
    path: '/webhook_endpoints/{id}',
    operationId: 'updateWebhookEndpoint',
    request: { ...one, body: { required: true, ...changes } },
    responses: { 200: json(Endpoint) },
  })
  const answerList = listHandler(db, listEndpoints, toEndpoint)

  return newRouter()
    .openapi(create, (c) => {
      const { merchantId } = c.var.caller
      const input = c.req.valid('json')
      return answerCreated(c, deps, {
        write: async (tx) => ({
          body: await createEndpoint(tx, cipher, merchantId, input),
          start: null,
        }),
      })
    })
    .openapi(retrieve, retrieveHandler(db, getEndpoint, toEndpoint))
    .openapi(list, (c) => answerList(c, c.req.valid('query')))
    .openapi(update, async (c) => {
      const { id } = c.req.valid('param')
      const { event_types, retry_schedule, url, description } = c.req.valid('json')
      const change = {
        ...(url !== undefined && { url }),
        ...(description !== undefined && { description }),
        ...(event_types !== undefined && { eventTypes: event_types && [...event_types] }),
        ...(retry_schedule !== undefined && { retrySchedule: retry_schedule }),
      }
      const row = await updateEndpoint(db, c.var.caller.merchantId, id, change, new Date())
      return c.json(toEndpoint(row), 200)
    })
    .openapi(enable, async (c) => {
      const { id } = c.req.valid('param')
      const { merchantId } = c.var.caller
      const row = await updateEndpoint(db, merchantId, id, { status: 'enabled' }, new Date())
      return c.json(toEndpoint(row), 200)
    })
    .openapi(disable, async (c) => {
      const { id } = c.req.valid('param')
      const { merchantId } = c.var.caller
      const row = await db.transaction((tx) => disableEndpoint(tx, merchantId, id, new Date()))
      return c.json(toEndpoint(row), 200)
    })
    .openapi(remove, async (c) => {
      const { id } = c.req.valid('param')
      await db.transaction((tx) => deleteEndpoint(tx, c.var.caller.merchantId, id, new Date()))
      return c.json({ id, object: 'webhook_endpoint' as const, deleted: true as const }, 200)
    })
}

type NewEndpoint = z.output<ReturnType<typeof endpointInput>>

/** Stores an endpoint. Only the returned answer has the secret in the clear. */
async function createEndpoint(
  tx: Tx,
  cipher: Cipher,
  merchantId: string,
  { url, description = null, event_types, retry_schedule = null }: NewEndpoint,
) {
  const id = newId('endpoint')
  const secret = newWebhookSecret()
  const values = {
    id,
    merchantId,
    secret: cipher.encrypt(secret, secretContext(id)),
    url,
    description,
    eventTypes: event_types ? [...event_types] : null,
    retrySchedule: retry_schedule,
  }
  const row = await insertEndpoint(tx, values, new Date())
  return { ...toEndpoint(row), secret }
}
