import { z } from '@hono/zod-openapi'
import { linkLifecycle } from '../../core/lifecycles/payment-link.ts'
import {
  getPaymentLink,
  insertPaymentLink,
  listPaymentLinks,
  openLinkCommand,
  toPaymentLink,
} from '../../db/payment-links/payment-links.ts'
import { paymentLinkStart } from '../../temporal/starts.ts'
import { commandHandler, commandRoute, noFields } from '../http/commands.ts'
import {
  Amount,
  Currency,
  FutureTime,
  Metadata,
  Text,
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

export const PaymentLink = z
  .object({
    id: z.string().openapi({ example: 'plink_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('payment_link'),
    status: z.enum(linkLifecycle.statuses),
    amount: Amount,
    currency: z.string().openapi({ example: 'INR' }),
    url: z
      .string()
      .openapi({ description: 'The page of the link. Anybody who has the URL can pay there' }),
    description: z.string().nullable().openapi({ description: 'Payers see this text' }),
    expires_at: Timestamp.nullable(),
    payment_id: z.string().nullable().openapi({ description: 'The payment that paid the link' }),
    metadata: Metadata,
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .openapi('PaymentLink')

const CreatePaymentLink = z
  .strictObject({
    amount: Amount,
    currency: Currency,
    description: Text.optional().openapi({
      description: 'Payers see this text',
      example: 'Two cups',
    }),
    expires_at: FutureTime.optional().openapi({
      description: 'At most 5 years ahead. Without this time, the link never expires',
    }),
    metadata: Metadata.default({}),
  })
  .openapi('CreatePaymentLink', {
    example: { amount: 50000, currency: 'INR', description: 'Two cups' },
  })

const create = creationRoute({
  path: '/payment_links',
  operationId: 'createPaymentLink',
  input: CreatePaymentLink,
  output: PaymentLink,
  result: 'The payment link, with status `active`',
})

const cancel = commandRoute({
  path: '/payment_links/{id}/cancel',
  operationId: 'cancelPaymentLink',
  description:
    'Cancels a payment in progress first. If that payment succeeds after all, the link is paid.',
  input: noFields('CancelPaymentLink'),
  output: PaymentLink,
})

const retrieve = retrieveRoute('/payment_links/{id}', 'retrievePaymentLink', PaymentLink)

const list = listRoute('/payment_links', 'listPaymentLinks', PaymentLink, {
  status: z.enum(linkLifecycle.statuses).optional(),
})

export function paymentLinkRoutes(deps: Deps) {
  const { db, publicUrl } = deps
  const runCommand = commandHandler(deps, {
    open: openLinkCommand,
    get: getPaymentLink,
    show: toPaymentLink,
    start: paymentLinkStart,
  })
  const answerList = listHandler(db, listPaymentLinks, toPaymentLink)
  return newRouter()
    .openapi(create, (c) => {
      const { merchantId } = c.var.caller
      const { expires_at, description = null, ...input } = c.req.valid('json')
      return answerCreated(c, deps, {
        write: async (tx) => {
          const now = new Date()
          const expiresAt = toFuture('expires_at', expires_at, now)
          const values = { merchantId, description, expiresAt, ...input }
          const { link, deliveries } = await insertPaymentLink(tx, publicUrl, values, now)
          return { body: toPaymentLink(link), start: paymentLinkStart(link, deliveries) }
        },
      })
    })
    .openapi(cancel, (c) => runCommand(c, { kind: 'close' }))
    .openapi(retrieve, retrieveHandler(db, getPaymentLink, toPaymentLink))
    .openapi(list, (c) => answerList(c, c.req.valid('query')))
}
