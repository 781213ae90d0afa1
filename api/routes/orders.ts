import { z } from '@hono/zod-openapi'
import {
  FULFIL_WINDOW_MS,
  orderCancellationReasons,
  orderLifecycle,
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
import { commandHandler, commandRoute, noFields } from '../http/commands.ts'
import {
  Amount,
  Currency,
  FutureTime,
  Metadata,
  NameFilter,
  OwnName,
  Timestamp,
  toFuture,
} from '../http/fields.ts'
import {
  answerCreated,
  creationRoute,
  listHandler,
  listRoute,
  retrieveHandler,
  retrieveRoute,
} from '../http/resource.ts'
import { type Deps, newRouter } from '../http/router.ts'

export const Order = z
  .object({
    id: z.string().openapi({ example: 'ord_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('order'),
    reference: z.string().nullable(),
    amount: Amount,
    currency: z.string().openapi({ example: 'INR' }),
    status: z.enum(orderLifecycle.statuses),
    fulfil_by: Timestamp.openapi({
      description:
        'The deadline. If the order is not fulfilled by then, it is canceled, and refunded if it was paid',
    }),
    payment_id: z.string().nullable().openapi({ description: 'The payment that paid the order' }),
    cancellation_reason: z.enum(orderCancellationReasons).nullable().openapi({
      description:
        '`requested`: you canceled the order. `deadline_passed`: the order was not fulfilled in time',
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
          'Your own id of the order, unique among your orders. Two spellings that differ only in how Unicode encodes the same characters (NFC) are one reference',
        example: 'ORDER_1001',
      }),
    fulfil_by: FutureTime.optional().openapi({
      description:
        'The deadline to pay and fulfill the order, at most 5 years ahead. The default is in 7 days',
    }),
    metadata: Metadata.default({}),
  })
  .openapi('CreateOrder')

const create = creationRoute({
  path: '/orders',
  operationId: 'createOrder',
  input: CreateOrder,
  output: Order,
  result: 'The order',
  errors: ['reference_taken'],
})

const fulfill = commandRoute({
  path: '/orders/{id}/fulfill',
  operationId: 'fulfillOrder',
  description: 'Records that you sent the goods. A fulfilled order cannot be canceled.',
  input: noFields('FulfillOrder'),
  output: Order,
})

const cancel = commandRoute({
  path: '/orders/{id}/cancel',
  operationId: 'cancelOrder',
  description:
    'Cancels the order, so that nobody can pay it. A payment in progress is canceled, and a captured payment is refunded. The answer does not wait for either.',
  input: noFields('CancelOrder'),
  output: Order,
  errors: ['insufficient_balance'],
})

const retrieve = retrieveRoute('/orders/{id}', 'retrieveOrder', Order)

const list = listRoute('/orders', 'listOrders', Order, {
  status: z.enum(orderLifecycle.statuses).optional(),
  reference: NameFilter.optional(),
})

export function orderRoutes(deps: Deps) {
  const { db } = deps
  const runCommand = commandHandler(deps, {
    open: openOrderCommand,
    get: getOrder,
    show: toOrder,
    start: orderStart,
  })
  const answerList = listHandler(db, listOrders, toOrder)
  return newRouter()
    .openapi(create, (c) => {
      const { merchantId } = c.var.caller
      const { reference = null, fulfil_by, ...input } = c.req.valid('json')
      return answerCreated(c, deps, {
        write: async (tx) => {
          const now = new Date()
          const fulfilBy =
            toFuture('fulfil_by', fulfil_by, now) ?? new Date(now.getTime() + FULFIL_WINDOW_MS)
          const values = { merchantId, reference, fulfilBy, ...input }
          const { order, event } = await insertOrder(tx, values, now)
          return { body: toOrder(order), start: orderStart(order, event.deliveries) }
        },
      })
    })
    .openapi(fulfill, (c) => runCommand(c, { kind: 'fulfill' }))
    .openapi(cancel, (c) => runCommand(c, { kind: 'cancel' }))
    .openapi(retrieve, retrieveHandler(db, getOrder, toOrder))
    .openapi(list, (c) => answerList(c, c.req.valid('query')))
}
