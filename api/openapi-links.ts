type Fields = Record<string, Schema>
type Schema = { $ref?: string; allOf?: Schema[]; properties?: Fields; enum?: unknown[] }
type Content = { content?: { 'application/json'?: { schema?: Schema } } }
type Link = { operationId: string; parameters: Record<string, string> }
type Operation = {
  operationId: string
  parameters?: { name: string; in: string }[]
  responses: Record<string, Content & { links?: Record<string, Link> }>
}
type Document = {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}
type Route = { method: string; path: string; operation: Operation }

/**
 * Adds OpenAPI links (3.1.0, section 4.8.20) from each answer that holds a new object to every
 * operation that takes the object's id. The links are derived from routes and schemas, so a new
 * route gets its links without more code.
 */
export function addLinks(document: object): void {
  const { paths, components } = document as Document
  const routes = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ method, path, operation })),
  )
  const fieldsOf = (body?: Content) =>
    resolveFields(components.schemas, body?.content?.['application/json']?.schema)
  const objects = objectsByCollection(routes, fieldsOf)
  const hasRoutes = (object: string) => [...objects.values()].includes(object)

  for (const { path, operation } of routes.filter(({ method }) => method === 'post'))
    for (const [status, response] of Object.entries(operation.responses)) {
      const answer = fieldsOf(response)
      const object = objectOf(answer)
      const isNew = status === '201' || object !== objects.get(collectionOf(path))
      if (!object || !isNew || !hasRoutes(object)) continue
      const links = routes.flatMap((route) => linkTo(route, object, objects))
      response.links = Object.fromEntries(links.map((link) => [link.operationId, link]))
    }
}

/** Maps a collection in a path to its object: `payment_links` and `pay` both to `payment_link`. */
function objectsByCollection(routes: Route[], fieldsOf: (body?: Content) => Fields) {
  const shows = routes.filter(({ method, path }) => method === 'get' && path.endsWith('/{id}'))
  const entries = shows.map(({ path, operation }) => {
    return [collectionOf(path), objectOf(fieldsOf(operation.responses[200]))] as const
  })
  return new Map(entries)
}

/** Returns the segment before the id: `payments` for `/api/v1/payments/{id}/refunds`. */
function collectionOf(path: string): string {
  return path.match(/([^/]+)\/\{id\}/)?.[1] ?? ''
}

/** Returns the value of the answer's field `object`, such as `payment`. */
function objectOf(answer: Fields): string | undefined {
  const [name] = answer.object?.enum ?? []
  return typeof name === 'string' ? name : undefined
}

/**
 * Returns a link to an operation whose path takes the id, or to a list that the id filters. A
 * request whose body takes the id gets no link: code generators refuse a document with an object as
 * a link's body.
 */
function linkTo({ path, operation }: Route, object: string, objects: Map<string, unknown>): Link[] {
  const { operationId, parameters = [] } = operation
  const isOfObject = objects.get(collectionOf(path)) === object
  const taken = parameters.find(({ name }) => (isOfObject ? name === 'id' : isIdOf(object, name)))
  return taken ? [{ operationId, parameters: { [taken.name]: '$response.body#/id' } }] : []
}

/** `payment_link_id` names a payment link, and `endpoint_id` a webhook endpoint. */
function isIdOf(object: string, name: string): boolean {
  return name.endsWith('_id') && `_${object}_id`.endsWith(`_${name}`)
}

/** Returns the fields of a schema and of the schemas that it refers to or is made of. */
function resolveFields(schemas: Record<string, Schema>, schema: Schema = {}): Fields {
  const named = schemas[schema.$ref?.replace('#/components/schemas/', '') ?? '']
  const parts = [...(schema.allOf ?? []), ...(named ? [named] : [])]
  return Object.assign({}, ...parts.map((part) => resolveFields(schemas, part)), schema.properties)
}
