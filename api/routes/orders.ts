import { z } from '@hono/zod-openapi'
import {
  FULFIL_WINDOW_MS,
  orderCancellationReasons,
  orderStatuses,
} from '../../core/lifecycles/order.ts'
import { looksLikeId } from '../../db/ids.ts'
import {
  getOrder,
  insertOrder,
  listOrders,
  openOrderCommand,
  toOrder,
} from '../../db/orders/orders.ts'
import { orderStart } from '../../temporal/starts.ts'
import { commandRoute, commandsOf } from '../http/commands.ts'
import {
  Amount,
  Currency,
  FutureTime,
  Metadata,
  NameFilter,
  OwnName,
  Timestamp,
  toFuture,
  toListBody,
  toPage,
} from '../http/fields.ts'
import { createOnce } from '../http/idempotency.ts'
import {
  type Deps,
  idempotencyKey,
  json,
  listRoute,
  merchantRoute,
  newRouter,
  retrieveRoute,
} from '../http/router.ts'

export const Order = z
  .object({
    id: z.string().openapi({ example: 'ord_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('order'),
    reference: z.string().nullable(),
    amount: Amount,
    currency: z.string().openapi({ example: 'INR' }),
    status: z.enum(orderStatuses),
    fulfil_by: Timestamp.openapi({
      description:
        'An order that is not fulfilled by then is canceled, and refunded if it was paid',
    }),
    payment_id: z.string().nullable().openapi({ description: 'The payment that paid it' }),
    cancellation_reason: z.enum(orderCancellationReasons).nullable().openapi({
      description: '`requested`: you canceled it. `deadline_passed`: it was not fulfilled in time',
    }),
    metadata: Metadata,
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .openapi('Order')

const CreateOrder = z
  .strictObject({
    amount: Amount,
    currency: Currency,
    reference: OwnName.refine(
      (text) => !looksLikeId(text),
      'The text has the form of one of our ids. Choose another.',
    )
      .optional()
      .openapi({
        type: 'string',
        description:
          'Your own id, unique among your orders. Two spellings that differ only in how Unicode encodes the same characters (NFC) are one reference',
        example: 'ORDER_1001',
      }),
    fulfil_by: FutureTime.optional().openapi({
      description:
        'When it has to be paid and fulfilled, at most 5 years ahead. Without it: in 7 days',
    }),
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

const none = (name: string) => z.strictObject({}).openapi(name)

const fulfillOrder = commandRoute(
  {
    path: '/orders/{id}/fulfill',
    operationId: 'fulfillOrder',
    description: 'You have sent what was ordered. From then on it is not canceled any more.',
  },
  { input: none('FulfillOrder'), output: Order },
  ['conflict'],
)
const cancelOrder = commandRoute(
  {
    path: '/orders/{id}/cancel',
    operationId: 'cancelOrder',
    description:
      'Nobody can pay it any more. A payment on its way is canceled, and what was paid is refunded: the answer does not wait for that.',
  },
  { input: none('CancelOrder'), output: Order },
  ['conflict', 'insufficient_balance'],
)

const retrieveOrder = retrieveRoute('/orders/{id}', 'retrieveOrder', Order)

const listOrdersRoute = listRoute('/orders', 'listOrders', Order, {
  status: z.enum(orderStatuses).optional(),
  reference: NameFilter.optional(),
})

export function orderRoutes(deps: Deps) {
  const { db } = deps
  const command = commandsOf(deps, {
    open: openOrderCommand,
    get: getOrder,
    show: toOrder,
    start: orderStart,
  })
  return newRouter()
    .openapi(createOrder, async (c) => {
      const { reference = null, fulfil_by, ...input } = c.req.valid('json')
      const { merchantId } = c.var.caller
      const body = await createOnce(c, deps, c.req.valid('json'), {
        write: async (tx) => {
          const now = new Date()
          const fulfilBy =
            toFuture('fulfil_by', fulfil_by, now) ?? new Date(now.getTime() + FULFIL_WINDOW_MS)
          const values = { merchantId, reference, fulfilBy, ...input }
          const { order, event } = await insertOrder(tx, values, now)
          return { body: toOrder(order), start: orderStart(order, event.deliveries) }
        },
      })
      return c.json(body, 201)
    })
    .openapi(fulfillOrder, async (c) => {
      const { status, body } = await command(c, { kind: 'fulfill' })
      return c.json(body, status)
    })
    .openapi(cancelOrder, async (c) => {
      const { status, body } = await command(c, { kind: 'cancel' })
      return c.json(body, status)
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
