import { z } from '@hono/zod-openapi'
import { type EventType, eventCatalog, eventTypes } from '../../core/webhooks/events.ts'
import { listOf, Timestamp, toListBody } from '../http/fields.ts'
import { json, merchantRoute, newRouter } from '../http/router.ts'
import { withIntegerFormats } from '../openapi-schemas.ts'
import { eventResources } from './event-examples.ts'

const AnyObject = z.record(z.string(), z.unknown())

const CatalogEntry = z
  .object({
    type: z.enum(eventTypes),
    description: z.string(),
    schema: AnyObject.openapi({ description: 'The JSON Schema (2020-12) of the sent body' }),
    example: AnyObject.openapi({ description: 'An example of the sent body' }),
  })
  .openapi('EventType')

const list = merchantRoute({
  method: 'get',
  path: '/event_types',
  operationId: 'listEventTypes',
  description: 'Lists every type that an endpoint can subscribe to, on one page.',
  responses: { 200: json(listOf(CatalogEntry)) },
})

export function eventTypeRoutes() {
  const body = toListBody({ data: eventTypes, hasMore: false }, toCatalogEntry)
  return newRouter().openapi(list, (c) => c.json(body, 200))
}

/** Returns the schema and an example of the resource in events of this type. */
export function resourceOf(type: EventType) {
  const [noun = '', past = ''] = type.split('.')
  const resource = Object.entries(eventResources).find(([name]) => name === noun)?.[1]
  const example = resource && Object.entries(resource.examples).find(([name]) => name === past)?.[1]
  if (!resource || !example) throw new Error(`There is no example of ${type}`)
  return { schema: resource.schema, example }
}

function toCatalogEntry(type: EventType) {
  const { schema, example } = resourceOf(type)
  const body = z.object({
    id: z.string(),
    type: z.literal(type),
    created_at: Timestamp,
    test: z.literal(true).optional(),
    data: z.object({ object: schema }),
  })
  return {
    type,
    description: eventCatalog[type],
    // The schema is that of an input, because a merchant must not refuse fields that we add later.
    schema: withIntegerFormats(z.toJSONSchema(body, { io: 'input', override: dropPattern })),
    example: {
      id: 'evt_01jzxd4f7ve7q9w4d4pmx6k5hr',
      type,
      created_at: '2026-01-31T09:30:08.000Z',
      data: { object: example },
    },
  }
}

/**
 * Removes the pattern of 200 characters that Zod adds to each date-time: the format says the same.
 */
function dropPattern({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (jsonSchema.format === 'date-time') delete jsonSchema.pattern
}
