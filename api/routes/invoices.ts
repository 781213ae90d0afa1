import { z } from '@hono/zod-openapi'
import { invoiceStatuses, MAX_INVOICE_NUMBER } from '../../core/lifecycles/invoice.ts'
import { getInvoice, insertInvoice, listInvoices, toInvoice } from '../../db/invoices/invoices.ts'
import { eventStart } from '../../temporal/starts.ts'
import { Amount, Currency, Timestamp, toListBody, toPage } from '../http/fields.ts'
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

export const Invoice = z
  .object({
    id: z.string().openapi({ example: 'inv_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('invoice'),
    number: z.int().openapi({ example: 17 }),
    status: z.enum(invoiceStatuses),
    amount: Amount,
    currency: z.string().openapi({ example: 'INR' }),
    amount_paid: z.int().min(0).openapi({ description: 'All that came in', example: 50000 }),
    amount_overpaid: z.int().min(0).openapi({ description: 'What of it is too much', example: 0 }),
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .openapi('Invoice')

const CreateInvoice = z
  .strictObject({
    amount: Amount,
    currency: Currency,
    number: z.int().min(1).max(MAX_INVOICE_NUMBER).optional().openapi({
      description: 'Your own, unique among your invoices. Without it: the one after your highest',
      example: 17,
    }),
  })
  .openapi('CreateInvoice', { example: { amount: 50000, currency: 'INR' } })

const createInvoice = merchantRoute(
  {
    method: 'post',
    path: '/invoices',
    operationId: 'createInvoice',
    request: { headers: idempotencyKey, body: { required: true, ...json(CreateInvoice) } },
    responses: { 201: json(Invoice, 'The invoice') },
  },
  ['number_taken'],
)

const retrieveInvoice = retrieveRoute('/invoices/{id}', 'retrieveInvoice', Invoice)

const listInvoicesRoute = listRoute('/invoices', 'listInvoices', Invoice, {
  status: z.enum(invoiceStatuses).optional(),
  number: z
    .string()
    .regex(/^[1-9]\d{0,11}$/, 'The value must be the number of an invoice.')
    .transform(Number)
    .optional()
    .openapi({ type: 'integer', minimum: 1, maximum: MAX_INVOICE_NUMBER }),
})

export function invoiceRoutes(deps: Deps) {
  const { db } = deps
  return newRouter()
    .openapi(createInvoice, async (c) => {
      const { number = null, ...input } = c.req.valid('json')
      const { merchantId } = c.var.caller
      const body = await createOnce(c, deps, c.req.valid('json'), {
        write: async (tx) => {
          const values = { merchantId, number, ...input }
          const { invoice, event } = await insertInvoice(tx, values, new Date())
          const start = event.deliveries.length > 0 ? eventStart(event) : null
          return { body: toInvoice(invoice), start }
        },
      })
      return c.json(body, 201)
    })
    .openapi(retrieveInvoice, async (c) => {
      const { id } = c.req.valid('param')
      return c.json(toInvoice(await getInvoice(db, c.var.caller.merchantId, id)), 200)
    })
    .openapi(listInvoicesRoute, async (c) => {
      const { status, number, ...query } = c.req.valid('query')
      const filter = { ...toPage(query), status, number }
      const list = await listInvoices(db, c.var.caller.merchantId, filter)
      return c.json(toListBody(list, toInvoice), 200)
    })
}
