const INT32_MIN = -(2 ** 31)
const INT32_MAX = 2 ** 31 - 1

/**
 * A copy of a document, or of a JSON Schema, in which each integer has a `format`. Without one, code
 * generators take 32 bits, and the generated clients fail on larger amounts.
 */
export function withIntegerFormats<T>(json: T): T {
  return addFormats(json) as T
}

function addFormats(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(addFormats)
  if (typeof json !== 'object' || json === null) return json
  const entries = Object.entries(json).map(([name, value]) => [name, addFormats(value)])
  const copy = Object.fromEntries(entries)
  return [copy.type].flat().includes('integer') ? { ...copy, format: formatOf(copy) } : copy
}

type Bounds = Partial<
  Record<'minimum' | 'exclusiveMinimum' | 'maximum' | 'exclusiveMaximum', number>
>

/** `int32` needs both bounds: an integer without a maximum may grow beyond 32 bits one day. */
function formatOf({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }: Bounds) {
  const lowest = minimum ?? exclusiveMinimum ?? Number.NEGATIVE_INFINITY
  const highest = maximum ?? exclusiveMaximum ?? Number.POSITIVE_INFINITY
  return lowest >= INT32_MIN && highest <= INT32_MAX ? 'int32' : 'int64'
}
