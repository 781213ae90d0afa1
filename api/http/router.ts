import { createRoute, OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi'
import type { Client } from '@temporalio/client'
import { createMiddleware } from 'hono/factory'
import type { ErrorCode } from '../../core/errors.ts'
import type { Cipher } from '../../core/secrets.ts'
import type { OutboundPolicy } from '../../core/webhooks/public-address.ts'
import type { Db } from '../../db/client.ts'
import type { Caller } from '../../db/merchants/merchants.ts'
import type { Log } from '../../log.ts'
import type { Providers } from '../../providers/index.ts'
import { errorResponses, responseHeaders } from './error-responses.ts'
import type { TryStart } from './try-start.ts'
import type { TryUpdate } from './try-update.ts'

export type Deps = {
  log: Log
  db: Db
  temporal: Client
  tryStart: TryStart
  tryUpdate: TryUpdate
  providers: Providers
  cipher: Cipher
  outbound: OutboundPolicy
  rateLimitPerSecond: number // 0: no limit
  publicUrl: string // payers reach this server at this URL, which has no slash at its end
}
export type Env = { Variables: { requestId: string; log: Log; caller: Caller } }

export function newRouter() {
  return new OpenAPIHono<Env>({
    defaultHook: (result) => {
      if (!result.success) throw result.error
    },
  })
}

/** Describes a JSON body for a route's request or response. */
export function json<T extends z.ZodType>(schema: T, description?: string) {
  const content = { 'application/json': { schema } }
  return { ...(description && { description }), content }
}

const security = [{ bearer: [] }, { apiKey: [], apiSecret: [] }]

/** Refuses a query or a body that a route does not take. The error names the first field. */
const Nothing = z.strictObject({})

const refuseBody = createMiddleware<Env>(async (c, next) => {
  if (c.req.header('content-type')) Nothing.parse(await c.req.json())
  await next()
})

/**
 * Returns a route of the merchants' API, which needs the secret key. `errors` are the route's own
 * errors. This function adds the errors that follow from method, path parameters and headers.
 */
export function merchantRoute<const R extends RouteConfig>(route: R, errors: ErrorCode[] = []) {
  const takesKey = route.request?.headers === idempotencyKey
  const replayed = takesKey ? ('Idempotent-Replayed' as const) : undefined
  const answers = Object.entries(route.responses).map(([status, response]) => {
    return [status, { description: 'OK', ...response, headers: responseHeaders(replayed) }] as const
  })
  const codes: ErrorCode[] = [
    ...anywhere,
    ...(route.path.includes('{id}') ? (['not_found'] as const) : []),
    ...(route.method === 'get' ? [] : ofBodies),
    ...(takesKey ? ofKeys : []),
    ...errors,
  ]
  const responses = { ...Object.fromEntries(answers), ...errorResponses(codes) }
  const words = { tags: [tagOf(route.path)], summary: summaryOf(route.operationId ?? '') }
  const request = { query: Nothing, ...route.request }
  const middleware = route.method === 'get' || route.request?.body ? [] : [refuseBody]
  return createRoute({ ...words, ...route, request, middleware, security, responses } as R)
}

const anywhere = [
  'invalid_request',
  'unauthorized',
  'secret_key_required',
  'rate_limited',
  'internal',
  'unavailable',
] as const
const ofBodies = ['body_too_large', 'unsupported_media_type'] as const
const ofKeys = ['idempotency_key_in_use', 'idempotency_key_reused'] as const

/** Returns the tag of a path: `/webhook_endpoints/{id}/enable` has the tag `Webhook endpoints`. */
function tagOf(path: string): string {
  return capitalized((path.split('/')[1] ?? '').replaceAll('_', ' '))
}

/**
 * Returns the summary of an operation id: `enableWebhookEndpoint` gives `Enable webhook endpoint`.
 */
function summaryOf(operationId: string): string {
  return capitalized(operationId.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`))
}

function capitalized(words: string): string {
  return (words.charAt(0).toUpperCase() + words.slice(1)).replace(/\b(api|Api)\b/, 'API')
}

/** Describes the header for the API document only. `keyedRequest` reads and checks the header. */
export const idempotencyKey = z.object({
  'Idempotency-Key': z.string().optional().openapi({
    description: 'A repeat within 24 hours gets the first answer again',
    minLength: 1,
    maxLength: 255,
  }),
})

export const idParam = z.object({ id: z.string().openapi({ description: 'The id of the object' }) })
