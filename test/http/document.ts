import { callAs, type testApp } from '../support/app.ts'

// The tests walk a document as plain JSON of any shape.
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Json = any
export type Operation = { method: string; path: string; operation: Json }

/** Reads `/openapi.json` as the app serves it, and lists the operations in it. */
export async function readDocument(app: ReturnType<typeof testApp>['app']) {
  const document: Json = (await callAs(app, null)('GET', '/openapi.json')).body
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item as Json).map(([method, operation]) => ({ method, path, operation })),
  )
  return { document, operations: operations as Operation[] }
}

/** Yields every object inside a JSON value, and the value too if it is an object. */
export function* objectsIn(value: Json): Generator<Json> {
  if (typeof value !== 'object' || value === null) return
  yield value
  for (const child of Object.values(value)) yield* objectsIn(child)
}
