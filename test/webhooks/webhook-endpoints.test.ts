import { eq } from 'drizzle-orm'
import { eventTypes } from '../../core/webhooks/events.ts'
import { secretContext } from '../../db/webhooks/endpoints.ts'
import { deliveries, endpoints } from '../../db/webhooks/schema.ts'
import { callAs } from '../support/app.ts'
import { testCipher } from '../support/cipher.ts'
import { addMerchant, testDb } from '../support/db.ts'
import {
  appWith,
  contents,
  expectRefusal,
  succeed,
  tableTexts,
  testShop,
  upi,
} from '../support/http.ts'

const db = testDb()
const root = '/api/v1/webhook_endpoints'
const url = 'https://shop.example/hooks'
const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const shown = {
  id: expect.stringMatching(/^we_[0-7][0-9a-hjkmnp-tv-z]{25}$/),
  object: 'webhook_endpoint',
  url,
  description: null,
  event_types: null,
  retry_schedule: null,
  status: 'enabled',
  created_at: timestamp,
  updated_at: timestamp,
}

async function shopWithEndpoint(change: object = {}) {
  const shop = await testShop(db)
  const { body } = await shop.call('POST', root, { url, ...change })
  const statuses = async () => {
    const { body: list } = await shop.call('GET', '/api/v1/webhook_deliveries')
    return list.data.map(({ status }: { status: string }) => status)
  }
  return { ...shop, endpoint: body, path: `${root}/${body.id}`, statuses }
}

test('a new endpoint has all the given fields and a secret', async () => {
  const { call } = await testShop(db)
  const given = {
    description: 'Till 1',
    event_types: ['payment.failed', 'order.paid'],
    retry_schedule: [1, 86_400],
  }
  const made = await call('POST', root, { url, ...given })
  expect(made.status).toBe(201)
  const { secret, ...rest } = made.body
  expect(rest).toStrictEqual({ ...shown, ...given })
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
  const other = await call('POST', root, { url })
  expect(other.body).toStrictEqual({ ...shown, secret: expect.any(String) })
  expect(other.body.secret).not.toBe(secret)
})

test("an endpoint's secret is shown only when the endpoint is created", async () => {
  const { call, endpoint, path } = await shopWithEndpoint()
  const { secret, ...rest } = endpoint
  expect((await call('GET', path)).body).toStrictEqual(rest)
  const answers = [
    await call('GET', root),
    await call('GET', path),
    await call('PATCH', path, { description: 'x' }),
    await call('POST', `${path}/disable`),
    await call('POST', `${path}/enable`),
    await call('GET', '/api/v1/events'),
    await call('DELETE', path),
  ]
  for (const { status, body } of answers) {
    expect(status).toBe(200)
    expect(JSON.stringify(body)).not.toContain('secret')
    expect(JSON.stringify(body)).not.toContain(secret)
  }
})

test("an endpoint's secret is stored encrypted and bound to the endpoint", async () => {
  const { endpoint } = await shopWithEndpoint()
  const { id, secret } = endpoint
  for (const text of Object.values(await tableTexts(db))) {
    expect(text).not.toContain(secret)
    expect(text).not.toContain(secret.slice('whsec_'.length))
  }
  const [row] = await db.select().from(endpoints).where(eq(endpoints.id, id))
  const stored = row?.secret ?? ''
  expect(testCipher.decrypt(stored, secretContext(id))).toBe(secret)
  expect(() => testCipher.decrypt(stored, secretContext('we_other'))).toThrow()
})

test('a repeat with the same Idempotency-Key gets the same secret', async () => {
  const { call } = await testShop(db)
  const key = { 'idempotency-key': 'endpoint-1' }
  const first = await call('POST', root, { url }, key)
  const again = await call('POST', root, { url }, key)
  expect([first.status, again.status]).toEqual([201, 201])
  expect(again.headers.get('idempotent-replayed')).toBe('true')
  expect(again.body).toStrictEqual(first.body)
  expect((await call('GET', root)).body.data).toHaveLength(1)
})

test('the stored answer for an Idempotency-Key does not hold the secret in the clear', async () => {
  const { call } = await testShop(db)
  const { body } = await call('POST', root, { url }, { 'idempotency-key': 'endpoint-1' })
  for (const [table, text] of Object.entries(await tableTexts(db)))
    expect({ table, leaks: text.includes(body.secret) }).toEqual({ table, leaks: false })
})

test('a PATCH of an endpoint changes only the named fields', async () => {
  const event_types = ['payment.failed']
  const { call, endpoint, path } = await shopWithEndpoint({ event_types, description: 'Till 1' })
  const { secret: _, ...before } = endpoint
  const moved = await call('PATCH', path, { url: `${url}/2` })
  expect(moved.status).toBe(200)
  expect(moved.body).toStrictEqual({ ...before, url: `${url}/2`, updated_at: timestamp })
  const cleared = { event_types: null, description: null, retry_schedule: [5] }
  const { body } = await call('PATCH', path, cleared)
  expect(body).toMatchObject({ ...cleared, url: `${url}/2`, status: 'enabled' })
  expect((await call('GET', path)).body).toStrictEqual(body)
})

test('an endpoint gets the event types that it lists, or all without a list', async () => {
  const { call, endpoint } = await shopWithEndpoint({ event_types: ['payment.succeeded'] })
  const all = (await call('POST', root, { url: `${url}/all` })).body
  const failures = { url: `${url}/failures`, event_types: ['payment.failed', 'order.canceled'] }
  await call('POST', root, failures)
  const { body: order } = await call('POST', '/api/v1/orders', { amount: 50_000, currency: 'INR' })
  const { body } = await call('POST', '/api/v1/payments', { ...upi, order_id: order.id })
  await succeed(db, body.id)
  const { data } = (await call('GET', '/api/v1/webhook_deliveries')).body
  const sent = data.map((delivery: { endpoint_id: string; event_type: string }) => [
    delivery.endpoint_id,
    delivery.event_type,
  ])
  const expected = [
    [all.id, 'order.created'],
    [all.id, 'payment.created'],
    [all.id, 'payment.succeeded'],
    [all.id, 'order.paid'],
    [endpoint.id, 'payment.succeeded'],
  ]
  expect(sent.sort()).toEqual(expected.sort())
})

test('an endpoint can list every event type', async () => {
  const { call } = await testShop(db)
  const made = await call('POST', root, { url, event_types: eventTypes })
  expect([made.status, made.body.event_types]).toEqual([201, eventTypes])
})

test('disabling an endpoint skips deliveries, and enabling it sends only new ones', async () => {
  const { call, path, statuses, endpoint } = await shopWithEndpoint()
  const untouched = await shopWithEndpoint()
  await untouched.call('POST', '/api/v1/payments', upi)
  for (const _ of [1, 2]) await call('POST', '/api/v1/payments', upi)
  const [first] = await db.select().from(deliveries).where(eq(deliveries.endpointId, endpoint.id))
  const done = { status: 'delivered' as const, nextSweepAt: null }
  await db
    .update(deliveries)
    .set(done)
    .where(eq(deliveries.id, first?.id ?? ''))

  const disabled = await call('POST', `${path}/disable`)
  expect([disabled.status, disabled.body.status]).toEqual([200, 'disabled'])
  expect((await statuses()).sort()).toEqual(['delivered', 'skipped'])
  const rows = await db.select().from(deliveries).where(eq(deliveries.endpointId, endpoint.id))
  expect(rows.map(({ nextSweepAt }) => nextSweepAt)).toEqual([null, null])
  expect(await untouched.statuses()).toEqual(['pending'])

  await call('POST', '/api/v1/payments', upi)
  expect(await statuses()).toHaveLength(2)
  const enabled = await call('POST', `${path}/enable`)
  expect([enabled.status, enabled.body.status]).toEqual([200, 'enabled'])
  expect((await statuses()).sort()).toEqual(['delivered', 'skipped'])
  await call('POST', '/api/v1/payments', upi)
  expect((await statuses()).sort()).toEqual(['delivered', 'pending', 'skipped'])
})

test('deleting an endpoint skips waiting deliveries and erases the secret', async () => {
  const { call, path, statuses, endpoint } = await shopWithEndpoint()
  await call('POST', '/api/v1/payments', upi)
  const deleted = await call('DELETE', path)
  expect(deleted.status).toBe(200)
  const { id } = endpoint
  expect(deleted.body).toStrictEqual({ id, object: 'webhook_endpoint', deleted: true })
  expect(await statuses()).toEqual(['skipped'])
  const [row] = await db.select().from(endpoints).where(eq(endpoints.id, id))
  expect(row).toMatchObject({ secret: null, deletedAt: expect.any(Date) })

  expect((await call('GET', root)).body).toStrictEqual({
    object: 'list',
    data: [],
    has_more: false,
  })
  const before = await contents(db)
  const again = [
    await call('GET', path),
    await call('PATCH', path, { url }),
    await call('POST', `${path}/enable`),
    await call('POST', `${path}/disable`),
    await call('DELETE', path),
  ]
  for (const answer of again) expectRefusal(answer, 404, 'not_found')
  expect(await contents(db)).toEqual(before)
  await call('POST', '/api/v1/payments', upi)
  expect(await statuses()).toEqual(['skipped'])
})

test('a webhook URL in production must be https and public', async () => {
  const outbound = { allowHttp: false, allowPrivateNetworks: false }
  const call = callAs(appWith(db, { outbound }), await addMerchant(db))
  const { body } = await call('POST', root, { url })
  const refused = `http://shop.example/ https://127.0.0.1/ https://localhost/ https://[::1]/
    https://169.254.169.254/latest https://2130706433/ https://db.internal/`.split(/\s+/)
  const before = await contents(db)
  for (const bad of refused) {
    expectRefusal(await call('POST', root, { url: bad }), 400, 'invalid_request', 'url')
    const moved = await call('PATCH', `${root}/${body.id}`, { url: bad })
    expectRefusal(moved, 400, 'invalid_request', 'url')
  }
  expect(await contents(db)).toEqual(before)
})

test('a URL whose host or port cannot exist is refused with 400 in development too', async () => {
  const { call } = await testShop(db)
  const { body } = await call('POST', root, { url })
  const before = await contents(db)
  for (const host of ['localhost..', '.localhost', 'a*b', 'a'.repeat(64), 'localhost:0']) {
    const bad = { url: `http://${host}/` }
    expectRefusal(await call('POST', root, bad), 400, 'invalid_request', 'url')
    expectRefusal(await call('PATCH', `${root}/${body.id}`, bad), 400, 'invalid_request', 'url')
  }
  expect(await contents(db)).toEqual(before)
})

test('a merchant has at most 100 endpoints, even if they are created at once', async () => {
  const { call } = await testShop(db)
  const answers = await Promise.all(
    Array.from({ length: 105 }, () => call('POST', '/api/v1/webhook_endpoints', { url })),
  )
  const refused = answers.filter(({ status }) => status !== 201)
  expect(refused).toHaveLength(5)
  for (const answer of refused) expectRefusal(answer, 422, 'endpoint_limit_reached')
})
