import { z } from '@hono/zod-openapi'
import {
  captureMethods,
  failureMessages,
  paymentMethods,
  paymentStatuses,
} from '../../core/lifecycles/payment.ts'
import { getNamedOrder } from '../../db/orders/orders.ts'
import { insertOrderPayment } from '../../db/orders/pay.ts'
import { getPaymentLink } from '../../db/payment-links/payment-links.ts'
import { openPaymentCommand } from '../../db/payments/commands.ts'
import { getPayment, insertPayment, listPayments, toPayment } from '../../db/payments/payments.ts'
import { paymentStart } from '../../temporal/starts.ts'
import { commandRoute, commandsOf } from '../http/commands.ts'
import {
  Amount,
  Currency,
  Id,
  Metadata,
  NameFilter,
  OwnName,
  Text,
  Timestamp,
  toListBody,
  toPage,
} from '../http/fields.ts'
import { createOnce } from '../http/idempotency.ts'
import { toFilterId } from '../http/resource.ts'
import {
  type Deps,
  idempotencyKey,
  json,
  listRoute,
  merchantRoute,
  newRouter,
  retrieveRoute,
} from '../http/router.ts'
import { checkSource, exchangeCard, sourceFields, toSource } from './payment-source.ts'

const failureCodes = Object.keys(failureMessages) as (keyof typeof failureMessages)[]

export const Payment = z
  .object({
    id: z.string().openapi({ example: 'pay_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('payment'),
    status: z.enum(paymentStatuses),
    amount: Amount,
    amount_captured: z.int(),
    amount_refunded: z.int(),
    currency: z.string().openapi({ example: 'INR' }),
    method: z.enum(paymentMethods),
    order_id: z.string().nullable(),
    capture_method: z.enum(captureMethods),
    card: z.object({ brand: z.string(), last4: z.string() }).nullable(),
    vpa: z.string().nullable().openapi({ description: 'Masked', example: 'te***@upi' }),
    failure_code: z.enum(failureCodes).nullable(),
    failure_message: z.string().nullable(),
    needs_attention: z.boolean().openapi({
      description:
        "An operator has to look into it, such as where the provider doesn't say what became of it",
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
      description: "The order's id, or your own reference of the order",
    }),
    capture_method: z.enum(captureMethods).default('automatic').openapi({
      description: 'Manual: the funds are reserved, and wait 7 days for `capture`',
    }),
    description: Text.optional(),
    metadata: Metadata.default({}),
  })
  .superRefine(checkSource)
  .openapi('CreatePayment', {
    example: { amount: 50000, currency: 'INR', method: 'upi', vpa: 'test@upi' },
  })

const createPayment = merchantRoute(
  {
    method: 'post',
    path: '/payments',
    operationId: 'createPayment',
    request: { headers: idempotencyKey, body: { required: true, ...json(CreatePayment) } },
    responses: { 201: json(Payment, 'The payment, pending: its workflow charges it') },
  },
  [
    'order_not_found',
    'order_payment_in_progress',
    'order_already_paid',
    'conflict',
    'order_mismatch',
  ],
)

const Capture = z
  .strictObject({
    amount: Amount.optional().openapi({
      description:
        'At most what is authorized; the rest is released. Without it, and for an order: all',
      example: 30000,
    }),
  })
  .openapi('CapturePayment')

const capturePayment = commandRoute(
  { path: '/payments/{id}/capture', operationId: 'capturePayment' },
  { input: Capture, output: Payment },
  ['conflict', 'capture_exceeds_authorized', 'order_mismatch'],
)
const cancelPayment = commandRoute(
  { path: '/payments/{id}/cancel', operationId: 'cancelPayment' },
  { input: z.strictObject({}).openapi('CancelPayment'), output: Payment },
  ['conflict'],
)

const retrievePayment = retrieveRoute('/payments/{id}', 'retrievePayment', Payment)

const listPaymentsRoute = listRoute('/payments', 'listPayments', Payment, {
  status: z.enum(paymentStatuses).optional(),
  order_id: NameFilter.optional(),
  payment_link_id: Id.optional(),
})

export function paymentRoutes(deps: Deps) {
  const { db, providers } = deps
  const command = commandsOf(deps, {
    open: openPaymentCommand,
    get: getPayment,
    show: toPayment,
    start: paymentStart,
  })
  return newRouter()
    .openapi(createPayment, async (c) => {
      const { merchantId } = c.var.caller
      const { card, ...input } = c.req.valid('json')
      const body = await createOnce(
        c,
        deps,
        { card, ...input },
        {
          prepare: card && (() => exchangeCard(providers, card)),
          write: async (tx, token) => {
            const now = new Date()
            const { order_id: orderId = null } = input
            const values = {
              merchantId,
              ...toSource(input, token),
              amount: input.amount,
              currency: input.currency,
              captureMethod: input.capture_method,
              description: input.description ?? null,
              metadata: input.metadata,
            }
            const made = orderId
              ? await insertOrderPayment(tx, { ...values, orderId }, now)
              : await insertPayment(tx, { ...values, orderId }, now)
            return {
              body: toPayment(made.payment),
              start: paymentStart(made.payment, made.deliveries),
            }
          },
        },
      )
      return c.json(body, 201)
    })
    .openapi(capturePayment, async (c) => {
      const { amount } = c.req.valid('json')
      const { status, body } = await command(c, { kind: 'capture', amount: amount ?? null })
      return c.json(body, status)
    })
    .openapi(cancelPayment, async (c) => {
      const { status, body } = await command(c, { kind: 'cancel' })
      return c.json(body, status)
    })
    .openapi(retrievePayment, async (c) => {
      const { id } = c.req.valid('param')
      return c.json(toPayment(await getPayment(db, c.var.caller.merchantId, id)), 200)
    })
    .openapi(listPaymentsRoute, async (c) => {
      const { merchantId } = c.var.caller
      const { status, order_id, payment_link_id, ...query } = c.req.valid('query')
      const orderId = await toFilterId('order_id', order_id, (name) =>
        getNamedOrder(db, merchantId, name),
      )
      const paymentLinkId = await toFilterId('payment_link_id', payment_link_id, (id) =>
        getPaymentLink(db, merchantId, id),
      )
      const filter = { ...toPage(query), status, orderId, paymentLinkId }
      const list = await listPayments(db, merchantId, filter)
      return c.json(toListBody(list, toPayment), 200)
    })
}
