import { z } from '@hono/zod-openapi'
import { paymentLinkStatuses } from '../../core/lifecycles/payment-link.ts'
import {
  getPaymentLink,
  insertPaymentLink,
  listPaymentLinks,
  openLinkCommand,
  toPaymentLink,
} from '../../db/payment-links/payment-links.ts'
import { paymentLinkStart } from '../../temporal/starts.ts'
import { commandRoute, commandsOf } from '../http/commands.ts'
import {
  Amount,
  Currency,
  FutureTime,
  Metadata,
  Text,
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

export const PaymentLink = z
  .object({
    id: z.string().openapi({ example: 'plink_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('payment_link'),
    status: z.enum(paymentLinkStatuses),
    amount: Amount,
    currency: z.string().openapi({ example: 'INR' }),
    url: z.string().openapi({ description: 'Where it is paid, by anybody who has it' }),
    description: z.string().nullable().openapi({ description: 'Payers see it' }),
    expires_at: Timestamp.nullable(),
    payment_id: z.string().nullable().openapi({ description: 'The payment that paid it' }),
    metadata: Metadata,
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .openapi('PaymentLink')

const CreatePaymentLink = z
  .strictObject({
    amount: Amount,
    currency: Currency,
    description: Text.optional().openapi({ description: 'Payers see it', example: 'Two cups' }),
    expires_at: FutureTime.optional().openapi({
      description: 'At most 5 years ahead. Without it, it never expires',
    }),
    metadata: Metadata.default({}),
  })
  .openapi('CreatePaymentLink', {
    example: { amount: 50000, currency: 'INR', description: 'Two cups' },
  })

const create = merchantRoute({
  method: 'post',
  path: '/payment_links',
  operationId: 'createPaymentLink',
  request: { headers: idempotencyKey, body: { required: true, ...json(CreatePaymentLink) } },
  responses: { 201: json(PaymentLink, 'The link, active') },
})

const cancel = commandRoute(
  {
    path: '/payment_links/{id}/cancel',
    operationId: 'cancelPaymentLink',
    description: 'A payment on its way is canceled first. If it succeeds all the same, it is paid.',
  },
  { input: z.strictObject({}).openapi('CancelPaymentLink'), output: PaymentLink },
  ['conflict'],
)

const retrieve = retrieveRoute('/payment_links/{id}', 'retrievePaymentLink', PaymentLink)

const list = listRoute('/payment_links', 'listPaymentLinks', PaymentLink, {
  status: z.enum(paymentLinkStatuses).optional(),
})

export function paymentLinkRoutes(deps: Deps) {
  const { db, publicUrl } = deps
  const command = commandsOf(deps, {
    open: openLinkCommand,
    get: getPaymentLink,
    show: toPaymentLink,
    start: paymentLinkStart,
  })
  return newRouter()
    .openapi(create, async (c) => {
      const { merchantId } = c.var.caller
      const { expires_at, description = null, ...input } = c.req.valid('json')
      const body = await createOnce(c, deps, c.req.valid('json'), {
        write: async (tx) => {
          const now = new Date()
          const expiresAt = toFuture('expires_at', expires_at, now)
          const values = { merchantId, description, expiresAt, ...input }
          const { link, deliveries } = await insertPaymentLink(tx, publicUrl, values, now)
          return { body: toPaymentLink(link), start: paymentLinkStart(link, deliveries) }
        },
      })
      return c.json(body, 201)
    })
    .openapi(cancel, async (c) => {
      const { status, body } = await command(c, { kind: 'close' })
      return c.json(body, status)
    })
    .openapi(retrieve, async (c) => {
      const { id } = c.req.valid('param')
      return c.json(toPaymentLink(await getPaymentLink(db, c.var.caller.merchantId, id)), 200)
    })
    .openapi(list, async (c) => {
      const { status, ...query } = c.req.valid('query')
      const filter = { ...toPage(query), status }
      const links = await listPaymentLinks(db, c.var.caller.merchantId, filter)
      return c.json(toListBody(links, toPaymentLink), 200)
    })
}
