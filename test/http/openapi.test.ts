import { z } from '@hono/zod-openapi'
import { type ErrorCode, errorKinds } from '../../core/errors.ts'
import { routesOf, testApp } from '../support/app.ts'
import { testDb } from '../support/db.ts'
import { upi } from '../support/http.ts'
import { testTill, toBank } from '../transfers/till.ts'
import { type Json, objectsIn, readDocument } from './document.ts'

const db = testDb()
const { app } = testApp(db, { receiverSecret: 'whsec_eA==' })

let document: Json
let operations: { route: string; method: string; operation: Json }[]
beforeAll(async () => {
  const read = await readDocument(app)
  document = read.document
  operations = read.operations.map(({ method, path, operation }) => {
    const route = `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`
    return { route, method, operation }
  })
})

function follow(ref: string): Json {
  return ref
    .replace('#/', '')
    .split('/')
    .reduce((at, name) => at?.[name], document)
}

/** Replaces every reference, so that the schema needs no document around it. */
function resolved(schema: Json): Json {
  if (typeof schema !== 'object' || schema === null) return schema
  if (Array.isArray(schema)) return schema.map(resolved)
  const target = schema.$ref ? follow(schema.$ref) : schema
  return Object.fromEntries(Object.entries(target).map(([name, it]) => [name, resolved(it)]))
}

/** Pages, the process's own state, and the built-in receiver are not the API. */
const notTheApi = /^GET \/(docs.*|openapi\.json|health|ready)$|^(GET|POST) \/dev\/receiver/

test('/openapi.json lists every route of the API and no other route', () => {
  const served = routesOf(app).filter((route) => !notTheApi.test(route))
  expect(operations.map(({ route }) => route).sort()).toEqual(served.sort())
  expect(served.length).toBeGreaterThan(25)
})

test('/openapi.json is OpenAPI 3.1, every reference in it resolves, and null is a type', () => {
  expect(document.openapi).toBe('3.1.0')
  for (const each of objectsIn(document)) {
    if (typeof each.$ref === 'string')
      expect([each.$ref, !!follow(each.$ref)]).toEqual([each.$ref, true])
    expect(each).not.toHaveProperty('nullable')
  }
})

/** Payers have no API key, so these routes need none. */
const isPublic = (route: string) => route.includes(' /pay/')

test('every operation has a unique operationId, a summary, explained tags and both logins', () => {
  const names = operations.map(({ operation }) => operation.operationId)
  expect(new Set(names).size).toBe(names.length)
  const explained = document.tags.map(({ name }: { name: string }) => name)
  const logins = [{ bearer: [] }, { apiKey: [], apiSecret: [] }]
  for (const { route, operation } of operations) {
    expect(operation.summary).toMatch(/^[A-Z][\w ]+$/)
    expect(explained).toEqual(expect.arrayContaining(operation.tags))
    expect(operation.security).toEqual(isPublic(route) ? [] : logins)
  }
  const open = operations.map(({ route }) => route).filter(isPublic)
  expect(open).toEqual(['GET /pay/:id', 'POST /pay/:id'])
  const used = new Set(operations.flatMap(({ operation }) => operation.tags))
  expect([...used].sort()).toEqual([...explained].sort())
})

test('every path parameter is declared', () => {
  for (const { route, operation } of operations) {
    const inPath = (operation.parameters ?? []).filter((each: Json) => each.in === 'path')
    const declared = inPath.map(({ name }: { name: string }) => `:${name}`)
    expect(declared).toEqual(route.match(/:\w+/g) ?? [])
  }
})

/** Returns the error codes that an operation names for a status. */
function codesAt(operation: Json, status: number | string): string[] {
  return Object.keys(operation.responses[status]?.content['application/json'].examples ?? {})
}

const logins = [401, 403]
const anywhere = [400, ...logins, 429, 500, 503]

test('every operation names the errors it can answer with, by status', () => {
  for (const { route, method, operation } of operations) {
    const statuses = Object.keys(operation.responses).map(Number)
    const takesBody = method === 'get' ? [] : [413, 415]
    const needs = [
      ...(isPublic(route) ? anywhere.filter((status) => !logins.includes(status)) : anywhere),
      ...takesBody,
      ...(route.includes(':') ? [404] : []),
    ]
    expect(statuses).toEqual(expect.arrayContaining(needs))
    if (isPublic(route)) for (const status of logins) expect(statuses).not.toContain(status)
    expect(operation.responses).not.toHaveProperty('default')
    for (const status of statuses.filter((each) => each >= 400)) {
      const codes = codesAt(operation, status) as ErrorCode[]
      expect(codes.length).toBeGreaterThan(0)
      for (const code of codes) {
        expect(errorKinds[code].status).toBe(status)
        expect(operation.responses[status].description).toContain(`\`${code}\``)
      }
    }
  }
})

test('every error code is named by an operation, except four that no operation answers with', () => {
  const named = new Set(
    operations.flatMap(({ operation }) =>
      Object.keys(operation.responses).flatMap((status) => codesAt(operation, status)),
    ),
  )
  const nowhere = Object.keys(errorKinds).filter((code) => !named.has(code))
  // These are answered before a request reaches an operation.
  expect(nowhere).toEqual([
    'method_not_allowed',
    'request_timeout',
    'expectation_failed',
    'headers_too_large',
  ])
})

test('every error code has an example that matches the schema Error', () => {
  const ErrorShape = z.fromJSONSchema(resolved(document.components.schemas.Error))
  const examples = Object.entries(document.components.examples)
  expect(examples.map(([code]) => code).sort()).toEqual(Object.keys(errorKinds).sort())
  for (const [code, { value }] of examples as [string, Json][]) {
    ErrorShape.parse(value)
    expect(value.error.code).toBe(code)
  }
})

test('/openapi.json names the headers of each answer', () => {
  for (const { operation } of operations)
    for (const [status, { headers }] of Object.entries(operation.responses) as [string, Json][]) {
      const waits = ['429', '503'].includes(status)
      expect(Object.keys(headers)).toEqual(
        expect.arrayContaining(['Request-Id', ...(waits ? ['Retry-After'] : [])]),
      )
    }
  const creates = operations.filter(({ operation }) => operation.responses[201])
  for (const { operation } of creates) {
    expect(operation.responses[201].headers).toHaveProperty('Idempotent-Replayed')
    const names = operation.parameters.map(({ name }: { name: string }) => name)
    expect(names).toContain('Idempotency-Key')
  }
  expect(creates.length).toBeGreaterThanOrEqual(6)
})

test('the example of each request body is accepted as it is', async () => {
  const { call, topUp } = await testTill(db)
  await topUp(100_000)
  const { body: link } = await call('POST', '/api/v1/payment_links', { amount: 1, currency: 'INR' })
  const sent = []
  for (const { route, operation } of operations) {
    const schema = operation.requestBody?.content['application/json'].schema
    const [method = '', path = ''] = route.replace('/pay/:id', `/pay/${link.id}`).split(' ')
    if (!schema || path.includes(':')) continue
    const answer = await call(method, path, exampleOf(resolved(schema)))
    sent.push([route, answer.status])
  }
  expect(sent.filter(([, status]) => status !== 200 && status !== 201)).toEqual([])
  expect(sent.length).toBeGreaterThanOrEqual(6)
})

/** Builds an example body in the way that the docs page does. */
function exampleOf(schema: Json): Json {
  if (schema.example !== undefined) return schema.example
  if (schema.default !== undefined) return schema.default
  if (!schema.properties) return schema.type === 'object' ? {} : (schema.enum?.[0] ?? 'string')
  const entries = Object.entries(schema.properties)
  return Object.fromEntries(entries.map(([name, property]) => [name, exampleOf(property)]))
}

test('successes and errors match /openapi.json', async () => {
  const { call, topUp, paid, refund, payOut } = await testTill(db)
  const api = '/api/v1'
  const made: Record<string, string> = {}
  const create = async (path: string, body: object) => {
    made[path] = (await call('POST', `${api}/${path}`, body)).body.id
  }
  await create('webhook_endpoints', { url: 'https://shop.example/hooks', retry_schedule: [1] })
  await create('orders', { amount: 100, currency: 'INR', metadata: { a: 'b' } })
  await create('payment_links', { amount: 100, currency: 'INR', metadata: { a: 'b' } })
  const link = made.payment_links ?? ''
  for (const pay of [{ method: 'upi', vpa: 'a@upi' }, {}]) {
    const { status, body } = await call('POST', `/pay/${link}`, pay)
    const operation = operations.find(({ route }) => route === 'POST /pay/:id')?.operation
    expect([status, problemOf(operation, status, body)]).toEqual([pay.vpa ? 200 : 400, null])
  }
  await create('payments', upi)
  await create('invoices', { amount: 100, currency: 'INR' })
  await create('api_keys', { name: 'Second' })
  await topUp(100_000)
  made.payouts = await payOut(1_000)
  await create('payouts', { amount: 1_000, currency: 'INR', destination: toBank })
  made.payments = await paid()
  made.refunds = await refund(made.payments, 1_000)
  for (const path of ['events', 'webhook_deliveries', 'balance_transactions'])
    made[path] = (await call('GET', `${api}/${path}?limit=1`)).body.data[0].id

  const gets = operations.filter(({ method, route }) => method === 'get' && !route.includes('jobs'))
  for (const { route, operation } of gets) {
    const path = route.replace('GET ', '')
    const kind = isPublic(route) ? 'payment_links' : (path.split('/')[3] ?? '')
    for (const id of path.includes(':id') ? [made[kind], 'x_404'] : ['']) {
      const { status, body } = await call('GET', path.replace(':id', id ?? ''))
      expect([route, status]).toEqual([route, id === 'x_404' ? 404 : 200])
      expect(problemOf(operation, status, body)).toBeNull()
    }
    const { status, body } = await call('GET', `${path.replace(':id', 'x')}?limit=0`)
    expect(problemOf(operation, status, body)).toBeNull()
  }
  expect(gets.length).toBeGreaterThanOrEqual(14)
})

test('answers to inbound events match /openapi.json', async () => {
  const { call } = await testTill(db)
  await call('POST', '/api/v1/invoices', { amount: 100, currency: 'INR' })
  const told = (event_id: string, amount: number) => ({ event_id, invoice_id: 1, amount })
  const asked = [
    ['/webhooks-sync/payments', told('a', 70), 200],
    ['/webhooks/payments', told('b', 70), 202],
    ['/webhooks/payments', told('b', 70), 200],
    ['/webhooks/payments', told('a', 1), 409],
    ['/webhooks-sync/payments', { ...told('c', 1), invoice_id: 'x' }, 404],
    ['/webhooks-sync/payments', told('c', 0), 400],
  ] as const
  for (const [path, body, expected] of asked) {
    const found = operations.find(({ route }) => route === `POST ${path}`)
    const answer = await call('POST', path, body)
    expect([path, body, answer.status]).toEqual([path, body, expected])
    expect(problemOf(found?.operation, answer.status, answer.body)).toBeNull()
  }
})

function problemOf(operation: Json, status: number, body: Json): string | null {
  const schema = operation.responses[status]?.content['application/json'].schema
  if (!schema) return `${status} is not in the document`
  const parsed = z.fromJSONSchema(closed(resolved(schema))).safeParse(body)
  return parsed.success ? null : z.prettifyError(parsed.error)
}

/** Returns a schema that refuses unnamed fields, so that an undocumented field fails the test. */
function closed(schema: Json): Json {
  if (typeof schema !== 'object' || schema === null) return schema
  if (Array.isArray(schema)) return schema.map(closed)
  const entries = Object.entries(schema).map(([name, it]) => [name, closed(it)])
  const rest = schema.properties && !schema.allOf ? { additionalProperties: false } : {}
  return { ...rest, ...Object.fromEntries(entries) }
}
