import { createRoute, OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi'
import type { Client } from '@temporalio/client'
import type { OutboundPolicy } from '../core/public-address.ts'
import type { Cipher } from '../core/secrets.ts'
import type { Db } from '../db/client.ts'
import type { Caller } from '../db/merchants.ts'
import type { Log } from '../log.ts'
import type { Providers } from '../providers/index.ts'
import { ErrorBody } from './errors.ts'
import { ListQuery, listOf } from './fields.ts'
import type { TryStart } from './start.ts'

export type Deps = {
  log: Log
  db: Db
  temporal: Client
  tryStart: TryStart
  providers: Providers
  cipher: Cipher
  outbound: OutboundPolicy
  rateLimitPerSecond: number // 0: none
}
export type Env = { Variables: { requestId: string; log: Log; caller: Caller } }

export function newRouter() {
  return new OpenAPIHono<Env>({
    defaultHook: (result) => {
      if (!result.success) throw result.error
    },
  })
}

/** A JSON body, in the shape that a route's request and responses want it. */
export function json<T extends z.ZodType>(schema: T, description = 'OK') {
  return { description, content: { 'application/json': { schema } } }
}

const security = [{ apiKey: [], apiSecret: [] }, { bearer: [] }]

/** A route of the merchants' API: it needs the secret key, and any error has the one shape. */
export function merchantRoute<const R extends RouteConfig>(route: R) {
  const responses = { ...route.responses, default: json(ErrorBody, 'Error') }
  return createRoute({ ...route, security, responses } as R)
}

/** For the document only: `createOnce` reads it, and says what is wrong with it. */
export const idempotencyKey = z.object({
  'idempotency-key': z.string().optional().openapi({
    description: 'Up to 255 characters. A repeat within 24 hours gets the first answer again',
  }),
})

export const idParam = z.object({ id: z.string().openapi({ description: 'The id of the object' }) })

export function retrieveRoute<P extends string, S extends z.ZodType>(
  path: P,
  operationId: string,
  schema: S,
) {
  const request = { params: idParam }
  return merchantRoute({
    method: 'get',
    path,
    operationId,
    request,
    responses: { 200: json(schema) },
  })
}

/** `filters` are taken beside those that every list has. */
export function listRoute<P extends string, S extends z.ZodType, F extends z.ZodRawShape>(
  path: P,
  operationId: string,
  schema: S,
  filters: F,
) {
  const request = { query: ListQuery.extend(filters) }
  const responses = { 200: json(listOf(schema)) }
  return merchantRoute({ method: 'get', path, operationId, request, responses })
}
