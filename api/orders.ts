import { z } from '@hono/zod-openapi'
import { orderStatuses } from '../core/order.ts'
import { eventStart } from '../core/starts.ts'
import { looksLikeId } from '../db/ids.ts'
import { getOrder, insertOrder, listOrders, toOrder } from '../db/orders.ts'
import { Amount, Currency, Id, Metadata, Timestamp, toListBody, toPage } from './fields.ts'
import { createOnce } from './idempotency.ts'
import {
  type Deps,
  idempotencyKey,
  json,
  listRoute,
  merchantRoute,
  newRouter,
  retrieveRoute,
} from './router.ts'

export const Order = z
  .object({
    id: z.string().openapi({ example: 'ord_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('order'),
    reference: z.string().nullable(),
    amount: Amount,
    currency: z.string().openapi({ example: 'INR' }),
    status: z.enum(orderStatuses),
    metadata: Metadata,
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .openapi('Order')

const CreateOrder = z
  .strictObject({
    amount: Amount,
    currency: Currency,
    reference: z
      .string()
      .min(1)
      .max(255)
      .refine((text) => !looksLikeId(text), 'can be mistaken for an id of ours')
      .optional()
      .openapi({ description: 'Your own id, unique among your orders', example: 'ORDER_1001' }),
    metadata: Metadata.default({}),
  })
  .openapi('CreateOrder')

const createOrder = merchantRoute(
  {
    method: 'post',
    path: '/orders',
    operationId: 'createOrder',
    request: { headers: idempotencyKey, body: { required: true, ...json(CreateOrder) } },
    responses: { 201: json(Order, 'The order') },
  },
  ['reference_taken'],
)

const retrieveOrder = retrieveRoute('/orders/{id}', 'retrieveOrder', Order)

const listOrdersRoute = listRoute('/orders', 'listOrders', Order, {
  status: z.enum(orderStatuses).optional(),
  reference: Id.optional(),
})

export function orderRoutes(deps: Deps) {
  const { db } = deps
  return newRouter()
    .openapi(createOrder, async (c) => {
      const { reference = null, ...input } = c.req.valid('json')
      const values = { merchantId: c.var.caller.merchantId, reference, ...input }
      const body = await createOnce(c, deps, c.req.valid('json'), {
        write: async (tx) => {
          const { order, event } = await insertOrder(tx, values, new Date())
          return {
            body: toOrder(order),
            start: event.deliveries.length > 0 ? eventStart(event) : null,
          }
        },
      })
      return c.json(body, 201)
    })
    .openapi(retrieveOrder, async (c) => {
      const { id } = c.req.valid('param')
      return c.json(toOrder(await getOrder(db, c.var.caller.merchantId, id)), 200)
    })
    .openapi(listOrdersRoute, async (c) => {
      const { status, reference, ...query } = c.req.valid('query')
      const filter = { ...toPage(query), status, reference }
      const list = await listOrders(db, c.var.caller.merchantId, filter)
      return c.json(toListBody(list, toOrder), 200)
    })
}
