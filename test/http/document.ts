import { callAs, type testApp } from '../support/app.ts'

// A document is walked as the JSON that it is.
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Json = any
export type Operation = { method: string; path: string; operation: Json }

/** `/openapi.json` as the app serves it, and the operations in it. */
export async function readDocument(app: ReturnType<typeof testApp>['app']) {
  const document: Json = (await callAs(app, null)('GET', '/openapi.json')).body
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item as Json).map(([method, operation]) => ({ method, path, operation })),
  )
  return { document, operations: operations as Operation[] }
}

/** Every object within a JSON value, the value included. */
export function* objectsIn(value: Json): Generator<Json> {
  if (typeof value !== 'object' || value === null) return
  yield value
  for (const child of Object.values(value)) yield* objectsIn(child)
}
