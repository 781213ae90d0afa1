import { z } from '@hono/zod-openapi'
import {
  captureMethods,
  failureMessages,
  paymentLifecycle,
  paymentMethods,
} from '../../core/lifecycles/payment.ts'
import { getNamedOrder } from '../../db/orders/orders.ts'
import { insertOrderPayment } from '../../db/orders/pay.ts'
import { getPaymentLink } from '../../db/payment-links/payment-links.ts'
import { openPaymentCommand } from '../../db/payments/commands.ts'
import { getPayment, insertPayment, listPayments, toPayment } from '../../db/payments/payments.ts'
import { paymentStart } from '../../temporal/starts.ts'
import { commandHandler, commandRoute, noFields } from '../http/commands.ts'
import {
  Amount,
  Currency,
  Id,
  Metadata,
  NameFilter,
  OwnName,
  Text,
  Timestamp,
} from '../http/fields.ts'
import {
  answerCreated,
  creationRoute,
  listHandler,
  listRoute,
  retrieveHandler,
  retrieveRoute,
  toFilterId,
} from '../http/resource.ts'
import { type Deps, newRouter } from '../http/router.ts'
import { checkSource, exchangeCard, sourceFields, toSource } from './payment-source.ts'

const failureCodes = Object.keys(failureMessages) as (keyof typeof failureMessages)[]

export const Payment = z
  .object({
    id: z.string().openapi({ example: 'pay_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('payment'),
    status: z.enum(paymentLifecycle.statuses),
    amount: Amount,
    amount_captured: z.int(),
    amount_refunded: z.int(),
    currency: z.string().openapi({ example: 'INR' }),
    method: z.enum(paymentMethods),
    order_id: z.string().nullable(),
    capture_method: z.enum(captureMethods),
    card: z.object({ brand: z.string(), last4: z.string() }).nullable(),
    vpa: z
      .string()
      .nullable()
      .openapi({ description: 'The masked UPI address', example: 'te***@upi' }),
    failure_code: z.enum(failureCodes).nullable(),
    failure_message: z.string().nullable(),
    needs_attention: z.boolean().openapi({
      description:
        'True if an operator must look into the payment, for example because the provider gives no verdict',
    }),
    description: z.string().nullable(),
    metadata: Metadata,
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .openapi('Payment')

const CreatePayment = z
  .strictObject({
    amount: Amount,
    currency: Currency,
    ...sourceFields,
    order_id: OwnName.optional().openapi({
      type: 'string',
      description: 'The id of the order, or your own reference',
    }),
    capture_method: z.enum(captureMethods).default('automatic').openapi({
      description: '`manual`: the funds are reserved, and wait 7 days for `capture`',
    }),
    description: Text.optional(),
    metadata: Metadata.default({}),
  })
  .superRefine(checkSource)
  .openapi('CreatePayment', {
    example: { amount: 50000, currency: 'INR', method: 'upi', vpa: 'test@upi' },
  })

const create = creationRoute({
  path: '/payments',
  operationId: 'createPayment',
  input: CreatePayment,
  output: Payment,
  result: 'The payment, with status `pending`. Its workflow charges it',
  errors: [
    'order_not_found',
    'order_payment_in_progress',
    'order_already_paid',
    'conflict',
    'order_mismatch',
  ],
})

const Capture = z
  .strictObject({
    amount: Amount.optional().openapi({
      description:
        'At most the authorized amount. The rest is released. Without an amount, all is captured. For an order, only all can be captured',
      example: 30000,
    }),
  })
  .openapi('CapturePayment')

const capture = commandRoute({
  path: '/payments/{id}/capture',
  operationId: 'capturePayment',
  input: Capture,
  output: Payment,
  errors: ['capture_exceeds_authorized', 'order_mismatch'],
})

const cancel = commandRoute({
  path: '/payments/{id}/cancel',
  operationId: 'cancelPayment',
  input: noFields('CancelPayment'),
  output: Payment,
})

const retrieve = retrieveRoute('/payments/{id}', 'retrievePayment', Payment)

const list = listRoute('/payments', 'listPayments', Payment, {
  status: z.enum(paymentLifecycle.statuses).optional(),
  order_id: NameFilter.optional(),
  payment_link_id: Id.optional(),
})

export function paymentRoutes(deps: Deps) {
  const { db, providers } = deps
  const runCommand = commandHandler(deps, {
    open: openPaymentCommand,
    get: getPayment,
    show: toPayment,
    start: paymentStart,
  })
  const answerList = listHandler(db, listPayments, toPayment)
  return newRouter()
    .openapi(create, (c) => {
      const { card, order_id: orderId = null, capture_method, ...input } = c.req.valid('json')
      return answerCreated(c, deps, {
        prepare: card && (() => exchangeCard(providers, card)),
        write: async (tx, token) => {
          const values = {
            merchantId: c.var.caller.merchantId,
            ...toSource(input, token),
            amount: input.amount,
            currency: input.currency,
            captureMethod: capture_method,
            description: input.description ?? null,
            metadata: input.metadata,
          }
          const { payment, deliveries } = orderId
            ? await insertOrderPayment(tx, { ...values, orderId }, new Date())
            : await insertPayment(tx, { ...values, orderId }, new Date())
          return { body: toPayment(payment), start: paymentStart(payment, deliveries) }
        },
      })
    })
    .openapi(capture, (c) => {
      const { amount = null } = c.req.valid('json')
      return runCommand(c, { kind: 'capture', amount })
    })
    .openapi(cancel, (c) => runCommand(c, { kind: 'cancel' }))
    .openapi(retrieve, retrieveHandler(db, getPayment, toPayment))
    .openapi(list, async (c) => {
      const { merchantId } = c.var.caller
      const { order_id, payment_link_id, ...query } = c.req.valid('query')
      const orderId = await toFilterId('order_id', order_id, (name) =>
        getNamedOrder(db, merchantId, name),
      )
      const paymentLinkId = await toFilterId('payment_link_id', payment_link_id, (id) =>
        getPaymentLink(db, merchantId, id),
      )
      return answerList(c, { ...query, orderId, paymentLinkId })
    })
}
