import { z } from '@hono/zod-openapi'
import { refundFailureCodes, refundStatuses } from '../../core/lifecycles/refund.ts'
import { getPayment } from '../../db/payments/payments.ts'
import { getRefund, insertRefund, listRefunds, toRefund } from '../../db/refunds/refunds.ts'
import { refundStart } from '../../temporal/starts.ts'
import { Amount, Id, Metadata, Text, Timestamp, toListBody, toPage } from '../http/fields.ts'
import { createOnce } from '../http/idempotency.ts'
import { toFilterId } from '../http/resource.ts'
import {
  type Deps,
  idempotencyKey,
  idParam,
  json,
  listRoute,
  merchantRoute,
  newRouter,
  retrieveRoute,
} from '../http/router.ts'

export const Refund = z
  .object({
    id: z.string().openapi({ example: 're_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('refund'),
    payment_id: z.string(),
    amount: Amount,
    currency: z.string().openapi({ example: 'INR' }),
    status: z.enum(refundStatuses),
    reason: z.string().nullable(),
    failure_code: z.enum(refundFailureCodes).nullable(),
    metadata: Metadata,
    created_at: Timestamp,
  })
  .openapi('Refund')

const CreateRefund = z
  .strictObject({
    amount: Amount.openapi({ description: 'At most what is captured and not refunded yet' }),
    reason: Text.optional(),
    metadata: Metadata.default({}),
  })
  .openapi('CreateRefund', { example: { amount: 20000, reason: 'The size was wrong' } })

const createRefund = merchantRoute(
  {
    method: 'post',
    path: '/payments/{id}/refunds',
    operationId: 'createRefund',
    description: 'Its amount is held of your balance until the provider has decided.',
    request: {
      params: idParam,
      headers: idempotencyKey,
      body: { required: true, ...json(CreateRefund) },
    },
    responses: { 201: json(Refund, 'The refund, pending: its workflow sends it') },
  },
  ['conflict', 'refund_exceeds_captured', 'insufficient_balance'],
)

const status = z.enum(refundStatuses).optional()

const listOfPayment = listRoute('/payments/{id}/refunds', 'listPaymentRefunds', Refund, { status })
const retrieveRefund = retrieveRoute('/refunds/{id}', 'retrieveRefund', Refund)
const listAll = listRoute('/refunds', 'listRefunds', Refund, {
  status,
  payment_id: Id.optional(),
})

export function refundRoutes(deps: Deps) {
  const { db } = deps
  return newRouter()
    .openapi(createRefund, async (c) => {
      const { merchantId } = c.var.caller
      const { id: paymentId } = c.req.valid('param')
      const { amount, reason = null, metadata } = c.req.valid('json')
      const values = { merchantId, paymentId, amount, reason, metadata }
      const body = await createOnce(c, deps, c.req.valid('json'), {
        write: async (tx) => {
          const { refund, deliveries } = await insertRefund(tx, values, new Date())
          return { body: toRefund(refund), start: refundStart(refund, deliveries) }
        },
      })
      return c.json(body, 201)
    })
    .openapi(listOfPayment, async (c) => {
      const { merchantId } = c.var.caller
      const { id } = await getPayment(db, merchantId, c.req.param('id'))
      const { status, ...query } = c.req.valid('query')
      const filter = { ...toPage(query), status, paymentId: id }
      return c.json(toListBody(await listRefunds(db, merchantId, filter), toRefund), 200)
    })
    .openapi(retrieveRefund, async (c) => {
      const { id } = c.req.valid('param')
      return c.json(toRefund(await getRefund(db, c.var.caller.merchantId, id)), 200)
    })
    .openapi(listAll, async (c) => {
      const { merchantId } = c.var.caller
      const { status, payment_id, ...query } = c.req.valid('query')
      const paymentId = await toFilterId('payment_id', payment_id, (id) =>
        getPayment(db, merchantId, id),
      )
      const filter = { ...toPage(query), status, paymentId }
      const list = await listRefunds(db, merchantId, filter)
      return c.json(toListBody(list, toRefund), 200)
    })
}
