import { z } from '@hono/zod-openapi'
import { refundLifecycle } from '../../core/lifecycles/refund.ts'
import { getPayment } from '../../db/payments/payments.ts'
import { getRefund, insertRefund, listRefunds, toRefund } from '../../db/refunds/refunds.ts'
import { refundStart } from '../../temporal/starts.ts'
import { Amount, Id, Metadata, Text, Timestamp } from '../http/fields.ts'
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

export const Refund = z
  .object({
    id: z.string().openapi({ example: 're_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('refund'),
    payment_id: z.string(),
    amount: Amount,
    currency: z.string().openapi({ example: 'INR' }),
    status: z.enum(refundLifecycle.statuses),
    reason: z.string().nullable(),
    failure_code: z.enum(refundLifecycle.failureCodes).nullable(),
    metadata: Metadata,
    created_at: Timestamp,
  })
  .openapi('Refund')

const CreateRefund = z
  .strictObject({
    amount: Amount.openapi({ description: 'At most the captured amount that is not refunded yet' }),
    reason: Text.optional(),
    metadata: Metadata.default({}),
  })
  .openapi('CreateRefund', { example: { amount: 20000, reason: 'The size was wrong' } })

const create = creationRoute({
  path: '/payments/{id}/refunds',
  operationId: 'createRefund',
  description: 'The amount is held from your balance until the provider has decided.',
  input: CreateRefund,
  output: Refund,
  result: 'The refund, with status `pending`. Its workflow sends it',
  errors: ['conflict', 'refund_exceeds_captured', 'insufficient_balance'],
})

const status = z.enum(refundLifecycle.statuses).optional()

const listOfPayment = listRoute('/payments/{id}/refunds', 'listPaymentRefunds', Refund, { status })
const retrieve = retrieveRoute('/refunds/{id}', 'retrieveRefund', Refund)
const list = listRoute('/refunds', 'listRefunds', Refund, { status, payment_id: Id.optional() })

export function refundRoutes(deps: Deps) {
  const { db } = deps
  const answerList = listHandler(db, listRefunds, toRefund)
  return newRouter()
    .openapi(create, (c) => {
      const { merchantId } = c.var.caller
      const { amount, reason = null, metadata } = c.req.valid('json')
      const values = { merchantId, paymentId: c.req.param('id'), amount, reason, metadata }
      return answerCreated(c, deps, {
        write: async (tx) => {
          const { refund, deliveries } = await insertRefund(tx, values, new Date())
          return { body: toRefund(refund), start: refundStart(refund, deliveries) }
        },
      })
    })
    .openapi(listOfPayment, async (c) => {
      const { id: paymentId } = await getPayment(db, c.var.caller.merchantId, c.req.param('id'))
      return answerList(c, { ...c.req.valid('query'), paymentId })
    })
    .openapi(retrieve, retrieveHandler(db, getRefund, toRefund))
    .openapi(list, async (c) => {
      const { payment_id, ...query } = c.req.valid('query')
      const paymentId = await toFilterId('payment_id', payment_id, (id) =>
        getPayment(db, c.var.caller.merchantId, id),
      )
      return answerList(c, { ...query, paymentId })
    })
}
