import { z } from '@hono/zod-openapi'
import { eventTypes } from '../../core/webhooks/events.ts'
import { getEvent, listEvents, toEvent } from '../../db/webhooks/events.ts'
import { Timestamp } from '../http/fields.ts'
import { listHandler, listRoute, retrieveHandler, retrieveRoute } from '../http/resource.ts'
import { type Deps, newRouter } from '../http/router.ts'

export const Event = z
  .object({
    object: z.literal('event'),
    id: z.string().openapi({ example: 'evt_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    type: z.enum(eventTypes),
    created_at: Timestamp,
    test: z
      .literal(true)
      .optional()
      .openapi({ description: 'True for an example: nothing happened' }),
    data: z.object({
      object: z
        .record(z.string(), z.unknown())
        .openapi({ description: 'The resource as the API showed it at `created_at`' }),
    }),
  })
  .openapi('Event')

const retrieve = retrieveRoute('/events/{id}', 'retrieveEvent', Event)

const list = listRoute('/events', 'listEvents', Event, { type: z.enum(eventTypes).optional() })

export function eventRoutes({ db }: Deps) {
  const answerList = listHandler(db, listEvents, toEvent)
  return newRouter()
    .openapi(retrieve, retrieveHandler(db, getEvent, toEvent))
    .openapi(list, (c) => answerList(c, c.req.valid('query')))
}
