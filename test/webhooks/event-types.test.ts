import { z } from '@hono/zod-openapi'
import { eq } from 'drizzle-orm'
import { eventCatalog, eventTypes } from '../../core/webhooks/events.ts'
import { disableGoneEndpoint, lockGoneEndpoint } from '../../db/webhooks/endpoints.ts'
import { events } from '../../db/webhooks/schema.ts'
import { callAs, testApp } from '../support/app.ts'
import { testDb } from '../support/db.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { contents, expectRefusal, fail, succeed, testShop, upi } from '../support/http.ts'
import { testActivities, until } from '../support/stack.ts'
import { timeSkippingEnv } from '../support/temporal.ts'

const db = testDb()
const temporal = timeSkippingEnv()
const endpoint = testEndpoint()
const path = '/api/v1/test/events'

type Schema = Parameters<typeof z.fromJSONSchema>[0]
type Shown = { type: string; description: string; schema: Schema; example: { data: Data } }
type Data = { object: Record<string, unknown> }

let catalog: Shown[]
beforeAll(async () => {
  const { call } = await testShop(db)
  const { status, body } = await call('GET', '/api/v1/event_types')
  expect([status, body.object, body.has_more]).toEqual([200, 'list', false])
  catalog = body.data
})

const shownAs = (type: string) => {
  const found = catalog.find((each) => each.type === type)
  if (!found) throw new Error(`${type} is not in the catalog`)
  return found
}

test('the catalog holds every event type with exactly four fields', () => {
  expect(catalog.map(({ type }) => type)).toEqual(eventTypes)
  for (const { type, description, ...rest } of catalog) {
    expect(description).toBe(eventCatalog[type as keyof typeof eventCatalog])
    expect(Object.keys(rest)).toEqual(['schema', 'example'])
  }
})

test.each(eventTypes)('the schema of %s accepts the example and requires every field', (type) => {
  const { schema, example } = shownAs(type)
  const Body = z.fromJSONSchema(schema)
  expect(Body.parse(example)).toEqual(example)
  const { object } = example.data
  expect(object.object).toBe(type.split('.')[0])
  expect(Body.safeParse({ ...example, type: 'other.type' }).success).toBe(false)
  for (const name of Object.keys(object)) {
    const { [name]: _, ...lacking } = object
    expect([name, Body.safeParse({ ...example, data: { object: lacking } }).success]).toEqual([
      name,
      false,
    ])
  }
})

test('a schema accepts fields that are added later', () => {
  const { schema, example } = shownAs('payment.succeeded')
  const object = { ...example.data.object, new_field: 1 }
  expect(z.fromJSONSchema(schema).safeParse({ ...example, data: { object } }).success).toBe(true)
})

test('real events match their schemas and have the fields of the examples', async () => {
  const { call, merchant } = await testShop(db)
  const post = async (to: string, body: object) => (await call('POST', `/api/v1/${to}`, body)).body
  const hook = await post('webhook_endpoints', { url: endpoint.url, retry_schedule: [60] })
  const order = await post('orders', { amount: upi.amount, currency: 'INR', metadata: { a: 'b' } })
  const [paid, failed] = [{ ...upi, order_id: order.id }, upi]
  await succeed(db, (await post('payments', paid)).id)
  await fail(db, (await post('payments', failed)).id)
  await call('PATCH', '/api/v1/account', { name: 'Renamed' })
  const invoice = await post('invoices', { amount: 100, currency: 'INR' })
  for (const event_id of ['a', 'b']) {
    const told = { event_id, invoice_id: invoice.id, amount: 70 }
    await call('POST', '/webhooks-sync/payments', told)
  }
  await db.transaction(async (tx) => {
    const gone = await lockGoneEndpoint(tx, hook)
    await disableGoneEndpoint(tx, gone as NonNullable<typeof gone>, new Date())
  })
  const rows = await db.select().from(events).where(eq(events.merchantId, merchant.id))
  for (const { type, body } of rows) {
    const sent = JSON.parse(body)
    expect(z.fromJSONSchema(shownAs(type).schema).parse(sent)).toEqual(sent)
    const shown = shownAs(type).example.data.object
    expect(Object.keys(shown).sort()).toEqual(Object.keys(sent.data.object).sort())
  }
  expect([...new Set(rows.map(({ type }) => type))].sort()).toEqual([
    'account.updated',
    'invoice.created',
    'invoice.paid',
    'invoice.partially_paid',
    'order.created',
    'order.paid',
    'payment.created',
    'payment.failed',
    'payment.succeeded',
    'webhook_endpoint.disabled',
  ])
})

describe('A test event', () => {
  test.each(eventTypes)('a test event of %s is the example, marked as a test', async (type) => {
    const { call, merchant } = await testShop(db)
    const { status, body } = await call('POST', path, { type })
    expect(status).toBe(201)
    expect(body).toStrictEqual({
      object: 'event',
      id: expect.stringMatching(/^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$/),
      type,
      created_at: expect.any(String),
      test: true,
      data: shownAs(type).example.data,
    })
    expect((await call('GET', `/api/v1/events/${body.id}`)).body).toStrictEqual(body)
    const [row] = await db.select().from(events).where(eq(events.merchantId, merchant.id))
    const { object: _, ...sent } = body
    expect(row?.body).toBe(JSON.stringify(sent))
    z.fromJSONSchema(shownAs(type).schema).parse(sent)
  })

  test('a test event without a type is payment.succeeded', async () => {
    const { call } = await testShop(db)
    for (const body of [undefined, {}])
      expect((await call('POST', path, body)).body.type).toBe('payment.succeeded')
  })

  test('a test event of an unknown type is refused with 400', async () => {
    const { call } = await testShop(db)
    const before = await contents(db)
    expectRefusal(
      await call('POST', path, { type: 'payment.paid' }),
      400,
      'invalid_request',
      'type',
    )
    expectRefusal(await call('POST', path, { test: false }), 400, 'invalid_request', 'test')
    expect(await contents(db)).toEqual(before)
  })

  test('a test event is created once for an Idempotency-Key', async () => {
    const { call, started } = await testShop(db)
    await call('POST', '/api/v1/webhook_endpoints', { url: endpoint.url })
    const headers = { 'idempotency-key': 'a' }
    const first = await call('POST', path, {}, headers)
    const again = await call('POST', path, { type: 'payment.succeeded' }, headers)
    expect([again.headers.get('idempotent-replayed'), again.body]).toEqual(['true', first.body])
    expect(started).toMatchObject([{ workflowType: 'publishEvent', workflowId: first.body.id }])
    expect((await call('GET', '/api/v1/events')).body.data).toHaveLength(1)
  })

  test('a test event arrives only at the endpoints that want its type', async () => {
    const { call, merchant } = await testShop(db)
    const hook = (name: string, event_types?: string[]) =>
      call('POST', '/api/v1/webhook_endpoints', { url: `${endpoint.url}/${name}`, event_types })
    await hook('all')
    await hook('refunds', ['refund.failed'])
    await hook('payments', ['payment.succeeded'])
    const { app } = testApp(db, { temporal: temporal.client() })
    const live = callAs(app, merchant)
    await temporal.withActivities(testActivities(db), async () => {
      const { body } = await live('POST', path, { type: 'refund.failed' })
      await temporal.client().workflow.getHandle(body.id).result()
      const delivered = `/api/v1/webhook_deliveries?event_id=${body.id}&status=delivered`
      await until(async () => (await live('GET', delivered)).body.data.length === 2, 'both')
      const { object: _, ...sent } = body
      const paths = endpoint.requests.map((request) => request.path).sort()
      expect(paths).toEqual(['/hooks/all', '/hooks/refunds'])
      for (const request of endpoint.requests) expect(JSON.parse(request.body)).toEqual(sent)
    })
  })
})
