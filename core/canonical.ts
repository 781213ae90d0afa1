/**
 * The same JSON text for every input that means the same: the names of an object are sorted, a Set
 * is sorted, a Date is its instant in UTC, and a field of null is a field that is not there. The
 * order of an array has a meaning, and stays.
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
