import { z } from '@hono/zod-openapi'
import { eventTypes } from '../core/events.ts'
import { getEvent, listEvents, toEvent } from '../db/events.ts'
import { ListQuery, listOf, Timestamp, toListBody, toPage } from './fields.ts'
import { type Deps, idParam, json, merchantRoute, newRouter } from './router.ts'

const Event = z
  .object({
    object: z.literal('event'),
    id: z.string().openapi({ example: 'evt_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    type: z.enum(eventTypes),
    created_at: Timestamp,
    data: z.object({
      object: z
        .record(z.string(), z.unknown())
        .openapi({ description: 'The resource, as the API showed it at that moment' }),
    }),
  })
  .openapi('Event')

const retrieveEvent = merchantRoute({
  method: 'get',
  path: '/events/{id}',
  operationId: 'retrieveEvent',
  request: { params: idParam },
  responses: { 200: json(Event) },
})

const listEventsRoute = merchantRoute({
  method: 'get',
  path: '/events',
  operationId: 'listEvents',
  request: { query: ListQuery.extend({ type: z.enum(eventTypes).optional() }) },
  responses: { 200: json(listOf(Event)) },
})

export function eventRoutes({ db }: Deps) {
  return newRouter()
    .openapi(retrieveEvent, async (c) => {
      const { id } = c.req.valid('param')
      return c.json(toEvent(await getEvent(db, c.var.caller.merchantId, id)), 200)
    })
    .openapi(listEventsRoute, async (c) => {
      const { type, ...query } = c.req.valid('query')
      const list = await listEvents(db, c.var.caller.merchantId, { ...toPage(query), type })
      return c.json(toListBody(list, toEvent), 200)
    })
}
