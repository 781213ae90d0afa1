import { z } from '@hono/zod-openapi'
import {
  apiKeyStatuses,
  getApiKey,
  insertApiKey,
  listApiKeys,
  revokeApiKey,
  toApiKey,
} from '../../db/merchants/api-keys.ts'
import { newKeyPair } from '../../db/merchants/merchants.ts'
import { deletedOf, Text, Timestamp } from '../http/fields.ts'
import {
  answerCreated,
  listHandler,
  listRoute,
  retrieveHandler,
  retrieveRoute,
} from '../http/resource.ts'
import {
  type Deps,
  idempotencyKey,
  idParam,
  json,
  merchantRoute,
  newRouter,
} from '../http/router.ts'

const ApiKey = z
  .object({
    id: z.string().openapi({ example: 'ak_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('api_key'),
    name: z.string().nullable(),
    key: z.string().openapi({
      description: 'The publishable half of the pair. It gives no access without its secret',
      example: 'key_yRZ3sPVqCnCzUyrSbBvQ4pV6TzJwY1lE',
    }),
    last_used_at: Timestamp.nullable().openapi({ description: 'The last use, to the minute' }),
    revoked_at: Timestamp.nullable().openapi({ description: 'Null: the key is active' }),
    created_at: Timestamp,
  })
  .openapi('ApiKey')

const CreatedApiKey = ApiKey.extend({
  secret: z.string().openapi({
    description: 'The secret of the key. Only this answer shows it',
    example: 'secret_8mGk0D3Zr0yqf5h1R7bJxN2uWcVt9aLs',
  }),
}).openapi('CreatedApiKey')

const CreateApiKey = z
  .strictObject({ name: Text.optional().openapi({ example: 'The web shop' }) })
  .openapi('CreateApiKey')

const create = merchantRoute(
  {
    method: 'post',
    path: '/api_keys',
    operationId: 'createApiKey',
    description:
      'To replace a key, create another one, use the new key everywhere, then revoke the old key.',
    request: { headers: idempotencyKey, body: json(CreateApiKey) },
    responses: { 201: json(CreatedApiKey, 'The key, with its secret') },
  },
  ['api_key_limit_reached'],
)

const retrieve = retrieveRoute('/api_keys/{id}', 'retrieveApiKey', ApiKey)

const list = listRoute('/api_keys', 'listApiKeys', ApiKey, {
  status: z.enum(apiKeyStatuses).optional(),
})

const revoke = merchantRoute(
  {
    method: 'delete',
    path: '/api_keys/{id}',
    operationId: 'revokeApiKey',
    description:
      'Revokes the key at once and permanently. The key stays in the list. A second request for the same key changes nothing and gets the same answer. Your last active key is refused: create another one first.',
    request: { params: idParam },
    responses: { 200: json(deletedOf('api_key'), 'The key gives no access any more') },
  },
  ['last_api_key'],
)

export function apiKeyRoutes(deps: Deps) {
  const { db } = deps
  const answerList = listHandler(db, listApiKeys, toApiKey)
  return newRouter()
    .openapi(create, (c) => {
      const { merchantId } = c.var.caller
      const { name = null } = c.req.valid('json')
      return answerCreated(c, deps, {
        write: async (tx) => {
          const keys = newKeyPair()
          const row = await insertApiKey(tx, { merchantId, name, ...keys }, new Date())
          return { body: { ...toApiKey(row), secret: keys.secret }, start: null }
        },
      })
    })
    .openapi(retrieve, retrieveHandler(db, getApiKey, toApiKey))
    .openapi(list, (c) => answerList(c, c.req.valid('query')))
    .openapi(revoke, async (c) => {
      const { id } = c.req.valid('param')
      await db.transaction((tx) => revokeApiKey(tx, c.var.caller.merchantId, id, new Date()))
      return c.json({ id, object: 'api_key' as const, deleted: true as const }, 200)
    })
}
