import { withIntegerFormats } from '../../api/openapi-schemas.ts'
import { eventTypes } from '../../core/webhooks/events.ts'
import { testApp } from '../support/app.ts'
import { testDb } from '../support/db.ts'
import { testShop } from '../support/http.ts'
import { type Json, objectsIn, readDocument } from './document.ts'

const db = testDb()
const { app } = testApp(db)

let documents: Json[]
beforeAll(async () => {
  const { call } = await testShop(db)
  const eventTypes = (await call('GET', '/api/v1/event_types')).body.data
  documents = [(await readDocument(app)).document, eventTypes.map(({ schema }: Json) => schema)]
})

const typesOf = (schema: Json) => [schema.type].flat()

test('every integer in /openapi.json and in the schemas of events has the format that holds it', () => {
  for (const document of documents) {
    const integers = [...objectsIn(document)].filter((each) => typesOf(each).includes('integer'))
    expect(integers.length).toBeGreaterThan(50)
    for (const { format, ...schema } of integers) {
      const lowest = schema.minimum ?? schema.exclusiveMinimum ?? -Infinity
      const isSmall = lowest >= -2147483648 && (schema.maximum ?? Infinity) <= 2147483647
      expect({ ...schema, format }).toEqual({ ...schema, format: isSmall ? 'int32' : 'int64' })
    }
  }
})

test('every amount in /openapi.json and in the schemas of events is an integer of 64 bits', () => {
  for (const document of documents) {
    const amounts = [...objectsIn(document)]
      .flatMap(({ properties = {} }) => Object.entries<Json>(properties))
      .filter(([name, schema]) => /^amount/.test(name) && typeof schema.type !== 'object')
    expect(amounts.length).toBeGreaterThan(20)
    for (const [name, { type, format }] of amounts)
      expect([name, type, format]).toEqual([name, 'integer', 'int64'])
  }
})

test('no answer and no request holds a floating-point number', () => {
  for (const document of documents)
    expect([...objectsIn(document)].filter((each) => typesOf(each).includes('number'))).toEqual([])
})

test('every event type in /openapi.json refers to the component EventTypeName', () => {
  const [document] = documents
  const { schemas } = document.components
  expect(schemas.EventTypeName).toEqual({ type: 'string', enum: eventTypes })
  const lists = [...objectsIn(document)].filter((each) => each.enum?.includes(eventTypes[0]))
  expect(lists).toEqual([schemas.EventTypeName])
  const { items } = schemas.WebhookEndpoint.properties.event_types
  expect(items).toEqual({ $ref: '#/components/schemas/EventTypeName' })
})

test('no boolean in /openapi.json lists its values, and a single value is its example', () => {
  const booleans = [...objectsIn(documents[0])].filter((each) => typesOf(each).includes('boolean'))
  expect(booleans.filter((each) => each.enum ?? each.const)).toEqual([])
  expect(documents[0].components.schemas.Event.properties.test.example).toBe(true)
})

test.each([
  ['without bounds', {}, 'int64'],
  ['without a maximum', { minimum: 0 }, 'int64'],
  ['without a minimum', { maximum: 100 }, 'int64'],
  ['up to the largest amount', { exclusiveMinimum: 0, maximum: 999_999_999_999 }, 'int64'],
  ['one above 31 bits', { minimum: 0, maximum: 2 ** 31 }, 'int64'],
  ['one below 32 bits with a sign', { minimum: -(2 ** 31) - 1, maximum: 0 }, 'int64'],
  ['with the bounds of 32 bits', { minimum: -(2 ** 31), maximum: 2 ** 31 - 1 }, 'int32'],
  ['within exclusive bounds', { exclusiveMinimum: 0, exclusiveMaximum: 13 }, 'int32'],
])('an integer %s gets its format wherever it stands', (_, bounds, format) => {
  const plain = { type: 'integer', ...bounds }
  const nullable = { type: ['integer', 'null'], ...bounds }
  const around = (a: object, b: object) => ({
    parameters: [{ name: 'limit', schema: a }],
    anyOf: [{ type: 'array', items: a }, { additionalProperties: b }],
    properties: { type: { type: 'string' }, integer: b },
  })
  const expected = around({ ...plain, format }, { ...nullable, format })
  expect(withIntegerFormats(around(plain, nullable))).toEqual(expected)
})
