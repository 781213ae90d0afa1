import { eventTypes } from '../core/webhooks/events.ts'

// biome-ignore lint/suspicious/noExplicitAny: An object of a JSON document has any members.
type Json = any

const INT32_MIN = -(2 ** 31)
const INT32_MAX = 2 ** 31 - 1

/**
 * Returns a copy of a document, or of a JSON Schema, in which each integer has a `format`. Without
 * a `format`, code generators take 32 bits, and the generated clients fail on larger amounts.
 */
export function withIntegerFormats<T>(json: T): T {
  return mapObjects(json, (schema) => {
    const isInteger = [schema.type].flat().includes('integer')
    return isInteger ? { ...schema, format: formatOf(schema) } : schema
  })
}

/** `int32` needs both bounds: an integer without a maximum may grow beyond 32 bits one day. */
function formatOf({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }: Json) {
  const lowest = minimum ?? exclusiveMinimum ?? Number.NEGATIVE_INFINITY
  const highest = maximum ?? exclusiveMaximum ?? Number.POSITIVE_INFINITY
  return lowest >= INT32_MIN && highest <= INT32_MAX ? 'int32' : 'int64'
}

/**
 * Returns a copy of a document that names the event types once, as the component `EventTypeName`.
 * Code generators turn an unnamed list of values into one more type at each place, and into Java
 * that does not compile.
 */
export function withNamedEventTypes<T extends { components?: Json }>(document: T): T {
  const values = JSON.stringify(eventTypes)
  const named = mapObjects(document, (schema) => {
    if (schema.type !== 'string' || JSON.stringify(schema.enum) !== values) return schema
    const { type: _type, enum: _enum, ...rest } = schema
    return { $ref: '#/components/schemas/EventTypeName', ...rest }
  })
  named.components.schemas.EventTypeName = { type: 'string', enum: [...eventTypes] }
  return named
}

/**
 * Returns a copy of a document in which a boolean with a single value shows that value as its
 * example. Generated Java reads listed values as strings, so a list of booleans does not compile.
 */
export function withPlainBooleans<T>(document: T): T {
  return mapObjects(document, (schema) => {
    if (schema.type !== 'boolean' || !Array.isArray(schema.enum)) return schema
    const { enum: values, ...rest } = schema
    return { ...rest, example: values[0] }
  })
}

/** Returns a copy in which `change` has replaced each object, the innermost first. */
function mapObjects<T>(json: T, change: (object: Json) => Json): T {
  if (typeof json !== 'object' || json === null) return json
  if (Array.isArray(json)) return json.map((item) => mapObjects(item, change)) as T
  const entries = Object.entries(json).map(([name, value]) => [name, mapObjects(value, change)])
  return change(Object.fromEntries(entries))
}
