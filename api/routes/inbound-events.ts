import { z } from '@hono/zod-openapi'
import { inboundEventLifecycle } from '../../core/lifecycles/invoice.ts'
import {
  keepInboundEvent,
  takeInboundEvent,
  toInboundEvent,
} from '../../db/invoices/inbound-events.ts'
import { eventStart, inboundEventStart } from '../../temporal/starts.ts'
import { Amount, Id, OwnName, Timestamp } from '../http/fields.ts'
import { type Deps, json, merchantRoute, newRouter } from '../http/router.ts'
import { Invoice } from './invoices.ts'

const SYNC = '/webhooks-sync/payments'
const ASYNC = '/webhooks/payments'

/** Both routes need the secret, so that no stranger can mark an invoice paid. */
export const inboundEventPaths = [SYNC, ASYNC]

const eventId = {
  description: 'The id that the event has at its source',
  example: 'bank-2026-000417',
}
const ofInvoice = { description: 'In minor units of the currency of the invoice' }

const InboundEvent = z
  .object({
    id: z.string().openapi({ example: 'ie_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('inbound_event'),
    event_id: z.string().openapi(eventId),
    invoice_id: z.string().openapi({ example: 'inv_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    amount: Amount.openapi(ofInvoice),
    status: z.enum(inboundEventLifecycle.statuses),
    duplicate: z.boolean().openapi({ description: 'True if the same event had arrived before' }),
    created_at: Timestamp,
    applied_at: Timestamp.nullable(),
    invoice: Invoice.openapi({ description: 'The invoice at the time of the answer' }),
  })
  .openapi('InboundEvent')

const INVOICE_ID_RULE =
  'The value must be the number of an invoice, without quotes, or the id of one.'

const CreateInboundEvent = z
  .strictObject({
    event_id: OwnName.openapi({ type: 'string', ...eventId }),
    invoice_id: z
      .union([z.int().positive(), Id.regex(/\D/, INVOICE_ID_RULE)], INVOICE_ID_RULE)
      .openapi({ description: 'The number of the invoice, or its id', example: 1 }),
    amount: Amount.openapi(ofInvoice),
  })
  .openapi('CreateInboundEvent')

const words = {
  tags: ['Inbound events'],
  request: { body: { required: true, ...json(CreateInboundEvent) } },
}
const repeats =
  'An `event_id` counts once on both routes together. A repeat of the event changes nothing, and its answer has `duplicate: true`.'

const takeSync = merchantRoute(
  {
    method: 'post',
    path: SYNC,
    operationId: 'applyInboundEvent',
    ...words,
    description: `Applies the event before the answer. ${repeats} If the event still waits from the other route, it is applied now.`,
    responses: { 200: json(InboundEvent, 'The event, applied') },
  },
  ['not_found', 'event_id_reused'],
)

const takeAsync = merchantRoute(
  {
    method: 'post',
    path: ASYNC,
    operationId: 'acceptInboundEvent',
    ...words,
    description: `Stores the event. Its workflow applies it after the answer. ${repeats}`,
    responses: {
      200: json(InboundEvent, 'The event had arrived before. It may be applied already'),
      202: json(InboundEvent, 'The event, with status `pending`. Its workflow applies it'),
    },
  },
  ['not_found', 'event_id_reused'],
)

type Input = z.output<typeof CreateInboundEvent>

export function inboundEventRoutes({ db, tryStart }: Deps) {
  return newRouter()
    .openapi(takeSync, async (c) => {
      const values = toValues(c.var.caller.merchantId, c.req.valid('json'))
      const taken = await db.transaction((tx) => takeInboundEvent(tx, values, new Date()))
      if (taken.told && taken.told.deliveries.length > 0) await tryStart(eventStart(taken.told))
      return c.json(toInboundEvent(taken), 200)
    })
    .openapi(takeAsync, async (c) => {
      const values = toValues(c.var.caller.merchantId, c.req.valid('json'))
      const kept = await db.transaction((tx) => keepInboundEvent(tx, values, new Date()))
      if (kept.isRepeat) return c.json(toInboundEvent(kept), 200)
      await tryStart(inboundEventStart(kept.event))
      return c.json(toInboundEvent(kept), 202)
    })
}

function toValues(merchantId: string, { event_id, invoice_id, amount }: Input) {
  return { merchantId, eventId: event_id, invoice: invoice_id, amount }
}
