import { z } from '@hono/zod-openapi'
import { eventTypes } from '../../core/webhooks/events.ts'
import { getEvent, listEvents, toEvent } from '../../db/webhooks/events.ts'
import { Timestamp, toListBody, toPage } from '../http/fields.ts'
import { type Deps, listRoute, newRouter, retrieveRoute } from '../http/router.ts'

export const Event = z
  .object({
    object: z.literal('event'),
    id: z.string().openapi({ example: 'evt_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    type: z.enum(eventTypes),
    created_at: Timestamp,
    test: z.literal(true).optional().openapi({ description: 'Nothing happened: it is an example' }),
    data: z.object({
      object: z
        .record(z.string(), z.unknown())
        .openapi({ description: 'The resource, as the API showed it at that moment' }),
    }),
  })
  .openapi('Event')

const retrieveEvent = retrieveRoute('/events/{id}', 'retrieveEvent', Event)

const listEventsRoute = listRoute('/events', 'listEvents', Event, {
  type: z.enum(eventTypes).optional(),
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
