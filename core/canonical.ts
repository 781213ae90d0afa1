/**
 * Returns one JSON text for all inputs with the same meaning. The names of an object and the values
 * of a Set are sorted, a Date is its instant in UTC, and a field that is null is left out. An array
 * keeps its order, because the order has a meaning.
 */
export function canonicalJson(value: unknown): string {
  if (value instanceof Date) return JSON.stringify(value)
  if (value instanceof Set) return `[${[...value].map(canonicalJson).sort().join(',')}]`
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value)
      .filter(([, item]) => item !== undefined && item !== null)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, item]) => `${JSON.stringify(name)}:${canonicalJson(item)}`)
    return `{${fields.join(',')}}`
  }
  return JSON.stringify(value ?? null)
}
