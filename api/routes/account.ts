import { z } from '@hono/zod-openapi'
import { getMerchant, toAccount, updateMerchant } from '../../db/merchants/merchants.ts'
import { eventStart } from '../../temporal/starts.ts'
import { Metadata, Text, Timestamp } from '../http/fields.ts'
import { type Deps, json, merchantRoute, newRouter } from '../http/router.ts'

export const Account = z
  .object({
    id: z.string().openapi({ example: 'mer_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('account'),
    name: z.string().openapi({ example: 'Demo Shop' }),
    metadata: Metadata,
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .openapi('Account')

const UpdateAccount = z
  .strictObject({
    name: Text.optional().openapi({ example: 'Demo Shop' }),
    metadata: Metadata.optional(),
  })
  .openapi('UpdateAccount')

const retrieve = merchantRoute({
  method: 'get',
  path: '/account',
  operationId: 'retrieveAccount',
  responses: { 200: json(Account, 'The account that the key belongs to') },
})

const update = merchantRoute({
  method: 'patch',
  path: '/account',
  operationId: 'updateAccount',
  description:
    'Changes only the fields that you send. `metadata` replaces all earlier metadata. Sends `account.updated` if a field has another value than before.',
  request: { body: json(UpdateAccount) },
  responses: { 200: json(Account, 'The account after the change') },
})

export function accountRoutes({ db, tryStart }: Deps) {
  return newRouter()
    .openapi(retrieve, async (c) => {
      return c.json(toAccount(await getMerchant(db, c.var.caller.merchantId)), 200)
    })
    .openapi(update, async (c) => {
      const { name, metadata } = c.req.valid('json')
      const change = { ...(name !== undefined && { name }), ...(metadata && { metadata }) }
      const { merchantId } = c.var.caller
      const { merchant, event } = await db.transaction((tx) =>
        updateMerchant(tx, merchantId, change, new Date()),
      )
      if (event && event.deliveries.length > 0) await tryStart(eventStart(event))
      return c.json(toAccount(merchant), 200)
    })
}
