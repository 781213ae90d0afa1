import { z } from '@hono/zod-openapi'
import { eventTypes } from '../../core/webhooks/events.ts'
import { getEvent, insertEvent, toEvent } from '../../db/webhooks/events.ts'
import { eventStart } from '../../temporal/starts.ts'
import { createOnce } from '../http/idempotency.ts'
import { type Deps, idempotencyKey, json, merchantRoute, newRouter } from '../http/router.ts'
import { resourceOf } from '../routes/event-types.ts'
import { Event } from '../routes/events.ts'

const CreateTestEvent = z
  .strictObject({ type: z.enum(eventTypes).default('payment.succeeded') })
  .openapi('CreateTestEvent')

const create = merchantRoute({
  method: 'post',
  path: '/test/events',
  operationId: 'createTestEvent',
  description:
    'Sends the catalog\'s example of a type, with `"test": true`, to each endpoint that wants the type. Nothing else happens.',
  request: { headers: idempotencyKey, body: json(CreateTestEvent) },
  responses: { 201: json(Event, 'The event') },
})

export function testEventRoutes(deps: Deps) {
  return newRouter().openapi(create, async (c) => {
    const input = CreateTestEvent.parse(c.req.valid('json'))
    const { merchantId } = c.var.caller
    const body = await createOnce(c, deps, input, {
      write: async (tx) => {
        const object = resourceOf(input.type).example
        const values = { type: input.type, merchantId, object, test: true as const }
        const event = await insertEvent(tx, values, new Date())
        return {
          body: toEvent(await getEvent(tx, merchantId, event.id)),
          start: event.deliveries.length > 0 ? eventStart(event) : null,
        }
      },
    })
    return c.json(body, 201)
  })
}
