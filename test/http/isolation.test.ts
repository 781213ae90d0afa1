import assert from 'node:assert/strict'
import { deliveries } from '../../db/webhooks/schema.ts'
import { callAs, routesOf, testApp } from '../support/app.ts'
import type { Merchant } from '../support/db.ts'
import { addMerchant, testDb } from '../support/db.ts'
import { contents, expectRefusal, succeed, upi } from '../support/http.ts'
import { toVpa } from '../transfers/till.ts'

const db = testDb()
const { app } = testApp(db)
const root = '/api/v1'
const url = 'https://shop.example/hooks'
const payout = { amount: 1_000, currency: 'INR', destination: toVpa }
const kinds = [
  'payments',
  'orders',
  'invoices',
  'payment_links',
  'events',
  'webhook_endpoints',
  'webhook_deliveries',
  'api_keys',
  'refunds',
  'payouts',
  'balance_transactions',
] as const
type Kind = (typeof kinds)[number]

/**
 * Every route of the merchants' API has a fixture. `of`: the route names one object, and `body` is
 * a body that it would accept. `list`: the route lists objects, and `filters` are those that could
 * name another merchant's objects. `create`: the route makes an object from this body. The object
 * is then found under `found`, or under the route's own path. `own`: the route answers with the
 * caller's own data. `all`: every caller gets the same answer.
 */
type Fixture =
  | { of: Kind; body?: object }
  | { list: Kind; filters?: Filters }
  | { create: object; found?: string }
  | { own: true; body?: object }
  | { all: true }
type Filters = Record<string, keyof Owned>

const fixtures: Record<string, Fixture> = {
  'POST /payments': { create: upi },
  'GET /payments': {
    list: 'payments',
    filters: { order_id: 'orders', payment_link_id: 'payment_links' },
  },
  'GET /payments/:id': { of: 'payments' },
  'POST /payments/:id/capture': { of: 'payments', body: { amount: 1 } },
  'POST /payments/:id/cancel': { of: 'payments' },
  'POST /payments/:id/refunds': { of: 'payments', body: { amount: 1 } },
  'GET /payments/:id/refunds': { of: 'payments' },
  'GET /refunds': { list: 'refunds', filters: { payment_id: 'payments' } },
  'GET /refunds/:id': { of: 'refunds' },
  'POST /payouts': { create: payout },
  'GET /payouts': { list: 'payouts' },
  'GET /payouts/:id': { of: 'payouts' },
  'POST /payouts/:id/cancel': { of: 'payouts' },
  'POST /test/payouts/:id/complete': { of: 'payouts' },
  'POST /test/payouts/:id/fail': { of: 'payouts' },
  'GET /balance': { own: true },
  'GET /balance_transactions': { list: 'balance_transactions', filters: { source: 'refunds' } },
  'GET /balance_transactions/:id': { of: 'balance_transactions' },
  'POST /test/balance_topups': { own: true, body: { amount: 1_000, currency: 'INR' } },
  'POST /orders': { create: { amount: 50_000, currency: 'INR', reference: 'ORDER_1' } },
  'GET /orders': { list: 'orders', filters: { reference: 'reference' } },
  'GET /orders/:id': { of: 'orders' },
  'POST /invoices': { create: { amount: 50_000, currency: 'INR' } },
  'GET /invoices': { list: 'invoices', filters: { number: 'number' } },
  'GET /invoices/:id': { of: 'invoices' },
  'POST /orders/:id/fulfill': { of: 'orders' },
  'POST /orders/:id/cancel': { of: 'orders' },
  'POST /payment_links': { create: { amount: 50_000, currency: 'INR' } },
  'GET /payment_links': { list: 'payment_links' },
  'GET /payment_links/:id': { of: 'payment_links' },
  'POST /payment_links/:id/cancel': { of: 'payment_links' },
  'GET /events': { list: 'events' },
  'GET /events/:id': { of: 'events' },
  'POST /webhook_endpoints': { create: { url } },
  'GET /webhook_endpoints': { list: 'webhook_endpoints' },
  'GET /webhook_endpoints/:id': { of: 'webhook_endpoints' },
  'PATCH /webhook_endpoints/:id': { of: 'webhook_endpoints', body: { url: `${url}/stolen` } },
  'DELETE /webhook_endpoints/:id': { of: 'webhook_endpoints' },
  'POST /webhook_endpoints/:id/enable': { of: 'webhook_endpoints' },
  'POST /webhook_endpoints/:id/disable': { of: 'webhook_endpoints' },
  'GET /webhook_deliveries': {
    list: 'webhook_deliveries',
    filters: { endpoint_id: 'webhook_endpoints', event_id: 'events' },
  },
  'GET /webhook_deliveries/:id': { of: 'webhook_deliveries' },
  'POST /webhook_deliveries/:id/resend': { of: 'webhook_deliveries' },
  'GET /event_types': { all: true },
  'GET /account': { own: true },
  'PATCH /account': { own: true, body: { name: 'Renamed' } },
  'POST /api_keys': { create: { name: 'Second' } },
  'GET /api_keys': { list: 'api_keys' },
  'GET /api_keys/:id': { of: 'api_keys' },
  'DELETE /api_keys/:id': { of: 'api_keys' },
  'POST /test/events': { create: {}, found: '/events' },
  'GET /test/jobs/status': { own: true }, // see test/http/jobs-status.test.ts
}

const routes = routesOf(app)
  .filter((route) => route.includes(` ${root}/`))
  .map((route) => route.replace(root, ''))

/** Holds the newest object's id of each kind, an order's reference, and an invoice's number. */
type Owned = Record<Kind | 'reference' | 'number', string>
type Call = ReturnType<typeof callAs>

let owner: Call
let stranger: Call
let owned: Owned

/** Makes at least two objects of each kind, because each kind can be listed. */
async function fill(merchant: Merchant, reference: string, number: number): Promise<Owned> {
  const call = callAs(app, merchant)
  for (const path of ['one', 'two'])
    await call('POST', `${root}/webhook_endpoints`, { url: `${url}/${path}` })
  await call('POST', `${root}/orders`, { amount: 50_000, currency: 'INR' })
  const order = { amount: 50_000, currency: 'INR', reference }
  const { body } = await call('POST', `${root}/orders`, order)
  await call('POST', `${root}/payments`, upi)
  for (const one of [number - 1, number])
    await call('POST', `${root}/invoices`, { amount: 50_000, currency: 'INR', number: one })
  await call('POST', `${root}/payment_links`, { amount: 50_000, currency: 'INR' })
  const link = (await call('POST', `${root}/payment_links`, { amount: 1, currency: 'INR' })).body
  await call('POST', `/pay/${link.id}`, { method: 'upi', vpa: 'test@upi' })
  const paid = await call('POST', `${root}/payments`, { ...upi, order_id: body.id })
  await succeed(db, paid.body.id)
  for (const amount of [1_000, 2_000]) {
    await call('POST', `${root}/payments/${paid.body.id}/refunds`, { amount })
    await call('POST', `${root}/payouts`, { ...payout, amount })
  }
  await call('POST', `${root}/api_keys`, {})
  await db.update(deliveries).set({ status: 'failed', nextSweepAt: null })
  const newest = async (kind: Kind) => {
    const id = (await call('GET', `${root}/${kind}?limit=1`)).body.data[0]?.id
    assert(id, `${kind}: none was made`)
    return [kind, id] as const
  }
  const found = Object.fromEntries(await Promise.all(kinds.map(newest))) as Record<Kind, string>
  return { ...found, reference, number: String(number) }
}

beforeAll(async () => {
  const [us, them] = [await addMerchant(db), await addMerchant(db)]
  owner = callAs(app, us)
  stranger = callAs(app, them)
  owned = await fill(us, 'OURS', 20)
  await fill(them, 'THEIRS', 10)
})

const pathOf = (route: string) => `${root}${route.split(' ')[1]}`
const methodOf = (route: string) => route.split(' ')[0] ?? ''
const idsOf = ({ body }: { body: { data: { id: string }[] } }) => body.data.map(({ id }) => id)

test('every route has a fixture, and every fixture has a route', () => {
  expect([...routes].sort()).toEqual(Object.keys(fixtures).sort())
  for (const route of routes.filter((path) => path.includes(':')))
    expect(fixtures[route]).toHaveProperty('of')
})

const entries = Object.entries(fixtures)
const ofOne = entries.flatMap(([route, it]) => ('of' in it ? [[route, it] as const] : []))
const lists = entries.flatMap(([route, it]) => ('list' in it ? [[route, it] as const] : []))
const creates = entries.flatMap(([route, it]) => ('create' in it ? [[route, it] as const] : []))

test.each(ofOne)(
  "%s does not find another merchant's object",
  async (route, { of: kind, body }) => {
    const path = pathOf(route).replace(':id', owned[kind])
    const before = await contents(db)
    const refused = await stranger(methodOf(route), path, body)
    expectRefusal(refused, 404, 'not_found')
    const nowhere = await stranger(methodOf(route), path.replace(owned[kind], 'x_404'), body)
    const { message } = nowhere.body.error
    expect(refused.body.error.message).toBe(message.replace('x_404', owned[kind]))
    expect(await contents(db)).toEqual(before)
  },
)

test.each(lists)(
  '%s shows no object of another merchant',
  async (route, { list: kind, filters }) => {
    const path = pathOf(route)
    const ours = idsOf(await owner('GET', path))
    const theirs = idsOf(await stranger('GET', path))
    expect(ours.length).toBeGreaterThanOrEqual(2)
    expect(theirs.length).toBeGreaterThanOrEqual(2)
    expect(ours).toContain(owned[kind])
    expect(theirs.filter((id) => ours.includes(id))).toEqual([])

    const refused = await stranger('GET', `${path}?starting_after=${owned[kind]}`)
    expectRefusal(refused, 400, 'invalid_request', 'starting_after')
    for (const [name, of] of Object.entries(filters ?? {})) {
      const query = `${path}?${name}=${owned[of]}`
      expect(idsOf(await owner('GET', query))).not.toEqual([])
      const { status, body } = await stranger('GET', query)
      const isRefused = ['order_id', 'payment_id', 'payment_link_id'].includes(name)
      expect(status === 400 ? body.error.param : idsOf({ body })).toEqual(isRefused ? name : [])
    }
  },
)

test.each(creates)(
  '%s makes an object that only the caller can see',
  async (route, { create, found }) => {
    const before = await rowsOfOwner()
    const { status, body } = await stranger('POST', pathOf(route), create)
    expect(status).toBe(201)
    const path = `${found ? root + found : pathOf(route)}/${body.id}`
    expectRefusal(await owner('GET', path), 404, 'not_found')
    expect((await stranger('GET', path)).status).toBe(200)
    expect(await rowsOfOwner()).toEqual(before)
  },
)

test('the account routes show and change only the account of the caller', async () => {
  const before = (await owner('GET', `${root}/account`)).body
  const renamed = await stranger('PATCH', `${root}/account`, { name: 'Renamed' })
  expect(renamed.body.id).not.toBe(before.id)
  expect((await stranger('GET', `${root}/account`)).body).toEqual(renamed.body)
  expect((await owner('GET', `${root}/account`)).body).toEqual(before)
})

test('the balance routes show and top up only the balance of the caller', async () => {
  const before = (await owner('GET', `${root}/balance`)).body
  const [{ amount }] = (await stranger('GET', `${root}/balance`)).body.available
  const topup = { amount: 1_234, currency: 'INR' }
  expect((await stranger('POST', `${root}/test/balance_topups`, topup)).status).toBe(201)
  const { body } = await stranger('GET', `${root}/balance`)
  expect(body.available).toEqual([{ amount: amount + 1_234, currency: 'INR' }])
  expect((await owner('GET', `${root}/balance`)).body).toEqual(before)
})

test("a payment for another merchant's order is refused with 404", async () => {
  const before = await contents(db)
  for (const order_id of [owned.orders, owned.reference]) {
    const refused = await stranger('POST', `${root}/payments`, { ...upi, order_id })
    expectRefusal(refused, 404, 'order_not_found', 'order_id')
  }
  expect(await contents(db)).toEqual(before)
})

test('two merchants can use the same reference', async () => {
  const order = { amount: 50_000, currency: 'INR', reference: owned.reference }
  const { status, body } = await stranger('POST', `${root}/orders`, order)
  expect(status).toBe(201)
  const paid = await stranger('POST', `${root}/payments`, { ...upi, order_id: owned.reference })
  expect(paid.body.order_id).toBe(body.id)
})

test("an inbound event for another merchant's invoice is refused with 404", async () => {
  const before = await contents(db)
  for (const route of ['/webhooks-sync/payments', '/webhooks/payments'])
    for (const invoice_id of [owned.invoices, Number(owned.number)]) {
      const refused = await stranger('POST', route, { event_id: 'e', invoice_id, amount: 1 })
      expectRefusal(refused, 404, 'not_found', 'invoice_id')
    }
  expect(await contents(db)).toEqual(before)
})

test('two merchants can use the same invoice number and the same event_id', async () => {
  const invoice = { amount: 50_000, currency: 'INR', number: Number(owned.number) }
  expect((await stranger('POST', `${root}/invoices`, invoice)).status).toBe(201)
  const event = { event_id: 'e', invoice_id: invoice.number, amount: 1 }
  const ours = await owner('POST', '/webhooks-sync/payments', event)
  const theirs = await stranger('POST', '/webhooks-sync/payments', event)
  expect(ours.body).toMatchObject({ duplicate: false, invoice_id: owned.invoices })
  expect(theirs.body).toMatchObject({ duplicate: false, invoice: { amount_paid: 1 } })
  expect(theirs.body.invoice_id).not.toBe(owned.invoices)
})

test("an event is delivered only to the merchant's own endpoints", async () => {
  const { body } = await stranger('POST', `${root}/payments`, upi)
  const told = await stranger('GET', `${root}/events?type=payment.created&limit=1`)
  expect(told.body.data[0].data.object.id).toBe(body.id)
  const query = `${root}/webhook_deliveries?event_id=${told.body.data[0].id}`
  const mine = idsOf(await stranger('GET', `${root}/webhook_endpoints`))
  const sent = (await stranger('GET', query)).body.data
  const targets = sent.map((delivery: { endpoint_id: string }) => delivery.endpoint_id)
  expect(targets.sort()).toEqual(mine.sort())
  expect((await owner('GET', query)).body.data).toEqual([])
})

/** Returns everything that the owner can see. */
async function rowsOfOwner() {
  const pages = kinds.map(async (kind) => (await owner('GET', `${root}/${kind}?limit=100`)).body)
  return Promise.all(pages)
}
