import type { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { AppError, type ErrorCode } from '../../core/errors.ts'
import type { Db } from '../../db/client.ts'
import type { List, Page } from '../../db/lists.ts'
import { ListQuery, listOf, toListBody, toPage } from './fields.ts'
import { type CreationSteps, createOnce } from './idempotency.ts'
import { type Deps, type Env, idempotencyKey, idParam, json, merchantRoute } from './router.ts'

// This file has the routes that every resource has, and their handlers. `.openapi(route, handler)`
// checks that a handler's answer has the schema of its route.

type Creation<P extends string, In extends z.ZodType, Out extends z.ZodType> = {
  path: P
  operationId: string
  description?: string
  input: In
  output: Out
  result: string // describes the created object
  errors?: ErrorCode[]
}

/** Returns the route that creates an object. The route takes an Idempotency-Key and answers 201. */
export function creationRoute<P extends string, In extends z.ZodType, Out extends z.ZodType>({
  input,
  output,
  result,
  errors,
  ...route
}: Creation<P, In, Out>) {
  const body = { required: true, ...json(input) }
  const request = { ...paramsOf(route.path), headers: idempotencyKey, body }
  const responses = { 201: json(output, result) }
  return merchantRoute({ method: 'post', ...route, request, responses }, errors)
}

/** Creates an object at most once per Idempotency-Key, as `createOnce` does, and answers 201. */
export async function answerCreated<Body extends object, Prepared = undefined>(
  c: Context<Env, string, { out: { json: unknown } }>,
  deps: Pick<Deps, 'db' | 'cipher' | 'tryStart'>,
  steps: CreationSteps<Body, Prepared>,
) {
  return c.json(await createOnce(c, deps, c.req.valid('json'), steps), 201)
}

export function retrieveRoute<P extends string, S extends z.ZodType>(
  path: P,
  operationId: string,
  schema: S,
) {
  const request = { params: idParam }
  const responses = { 200: json(schema) }
  return merchantRoute({ method: 'get', path, operationId, request, responses })
}

export function retrieveHandler<Row, Body extends object>(
  db: Db,
  get: (db: Db, merchantId: string, id: string) => Promise<Row>,
  show: (row: Row) => Body,
) {
  return async (c: Context<Env, '/:id'>) =>
    c.json(show(await get(db, c.var.caller.merchantId, c.req.param('id'))), 200)
}

/** The route takes `filters` in addition to the filters that every list takes. */
export function listRoute<P extends string, S extends z.ZodType, F extends z.ZodRawShape>(
  path: P,
  operationId: string,
  schema: S,
  filters: F,
) {
  const request = { ...paramsOf(path), query: ListQuery.extend(filters) }
  const responses = { 200: json(listOf(schema)) }
  return merchantRoute({ method: 'get', path, operationId, request, responses })
}

function paramsOf(path: string) {
  return path.includes('{id}') ? { params: idParam } : {}
}

/** A route whose filters have other names than the filters of `list` renames them in the query. */
export function listHandler<Filters, Row, Body extends object>(
  db: Db,
  list: (db: Db, merchantId: string, filter: Page & Filters) => Promise<List<Row>>,
  show: (row: Row) => Body,
) {
  return async (c: Context<Env>, query: z.output<typeof ListQuery> & Filters) => {
    const rows = await list(db, c.var.caller.merchantId, { ...query, ...toPage(query) })
    return c.json(toListBody(rows, show), 200)
  }
}

/**
 * Returns the id of the object that the filter `param` of a list names by `name`. Throws `AppError`
 * with code `invalid_request` if the merchant has no such object: the path exists, and the filter
 * is wrong.
 */
export async function toFilterId(
  param: string,
  name: string | undefined,
  get: (name: string) => Promise<{ id: string }>,
): Promise<string | undefined> {
  if (name === undefined) return undefined
  try {
    return (await get(name)).id
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'not_found')) throw error
    throw new AppError('invalid_request', error.message, { param })
  }
}
