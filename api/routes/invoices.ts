import { z } from '@hono/zod-openapi'
import { invoiceStatuses, MAX_INVOICE_NUMBER } from '../../core/lifecycles/invoice.ts'
import { getInvoice, insertInvoice, listInvoices, toInvoice } from '../../db/invoices/invoices.ts'
import { eventStart } from '../../temporal/starts.ts'
import { Amount, Currency, Timestamp } from '../http/fields.ts'
import {
  answerCreated,
  creationRoute,
  listHandler,
  listRoute,
  retrieveHandler,
  retrieveRoute,
} from '../http/resource.ts'
import { type Deps, newRouter } from '../http/router.ts'

export const Invoice = z
  .object({
    id: z.string().openapi({ example: 'inv_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('invoice'),
    number: z.int().openapi({ example: 17 }),
    status: z.enum(invoiceStatuses),
    amount: Amount,
    currency: z.string().openapi({ example: 'INR' }),
    amount_paid: z.int().min(0).openapi({ description: 'All payments together', example: 50000 }),
    amount_overpaid: z
      .int()
      .min(0)
      .openapi({ description: 'The part of `amount_paid` above `amount`', example: 0 }),
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .openapi('Invoice')

const CreateInvoice = z
  .strictObject({
    amount: Amount,
    currency: Currency,
    number: z.int().min(1).max(MAX_INVOICE_NUMBER).optional().openapi({
      description:
        'Your own number, unique among your invoices. Without a number, the invoice gets your highest number plus 1',
      example: 17,
    }),
  })
  .openapi('CreateInvoice', { example: { amount: 50000, currency: 'INR' } })

const create = creationRoute({
  path: '/invoices',
  operationId: 'createInvoice',
  input: CreateInvoice,
  output: Invoice,
  result: 'The invoice',
  errors: ['number_taken'],
})

const retrieve = retrieveRoute('/invoices/{id}', 'retrieveInvoice', Invoice)

const list = listRoute('/invoices', 'listInvoices', Invoice, {
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
  const answerList = listHandler(db, listInvoices, toInvoice)
  return newRouter()
    .openapi(create, (c) => {
      const { merchantId } = c.var.caller
      const { number = null, ...input } = c.req.valid('json')
      return answerCreated(c, deps, {
        write: async (tx) => {
          const values = { merchantId, number, ...input }
          const { invoice, event } = await insertInvoice(tx, values, new Date())
          const start = event.deliveries.length > 0 ? eventStart(event) : null
          return { body: toInvoice(invoice), start }
        },
      })
    })
    .openapi(retrieve, retrieveHandler(db, getInvoice, toInvoice))
    .openapi(list, (c) => answerList(c, c.req.valid('query')))
}
