import { eq } from 'drizzle-orm'
import { newId } from '../../db/ids.ts'
import { cancelOrder } from '../../db/orders/steps.ts'
import { orders } from '../../db/payments/schema.ts'
import { deliveries, events } from '../../db/webhooks/schema.ts'
import { testDb } from '../support/db.ts'
import { contents, expectRefusal, fail, succeed, testShop, upi } from '../support/http.ts'
import { pause } from '../support/stack.ts'

const db = testDb()
const path = '/api/v1/orders'
const order = { amount: 50_000, currency: 'INR' }
const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const DAY_MS = 24 * 60 * 60_000
const timeAhead = (ms: number) => new Date(Date.now() + ms).toISOString()
const shown = {
  id: expect.stringMatching(/^ord_[0-7][0-9a-hjkmnp-tv-z]{25}$/),
  object: 'order',
  reference: null,
  ...order,
  status: 'created',
  fulfil_by: timestamp,
  payment_id: null,
  cancellation_reason: null,
  metadata: {},
  created_at: timestamp,
  updated_at: timestamp,
}

test('an order is created with 201 and read back unchanged', async () => {
  const { call } = await testShop(db)
  const fulfil_by = timeAhead(30 * DAY_MS)
  const given = { ...order, reference: 'Nº 17/2026', fulfil_by, metadata: { table: '4' } }
  const made = await call('POST', path, { ...given, currency: 'inr' })
  expect(made.status).toBe(201)
  expect(made.body).toStrictEqual({ ...shown, ...given })
  const found = await call('GET', `${path}/${made.body.id}`)
  expect([found.status, found.body]).toStrictEqual([200, made.body])
  expect((await call('POST', path, order)).body).toStrictEqual(shown)
})

test('an order without a deadline has seven days, and a given deadline is answered in UTC', async () => {
  const { call } = await testShop(db)
  const { body } = await call('POST', path, order)
  const [due, made] = [body.fulfil_by, body.created_at].map((text) => Date.parse(text))
  expect((due ?? 0) - (made ?? 0)).toBe(7 * DAY_MS)
  const inIndia = '2030-01-31T14:30:00+05:30'
  const other = await call('POST', path, { ...order, fulfil_by: inIndia })
  expect([other.status, other.body.fulfil_by]).toEqual([201, '2030-01-31T09:00:00.000Z'])
})

test.each([
  ['has passed', () => timeAhead(-1_000)],
  ['is more than five years ahead', () => timeAhead(5 * 365 * DAY_MS + 60_000)],
  ['is no time', () => 'tomorrow'],
  ['is a date', () => '2030-01-31'],
  ['is empty', () => ''],
  ['is null', () => null],
  ['is a number', () => Date.now() + DAY_MS],
])('a deadline that %s is refused with 400', async (_, fulfilBy) => {
  const { call } = await testShop(db)
  const before = await contents(db)
  const answer = await call(
    'POST',
    path,
    { ...order, fulfil_by: fulfilBy() },
    { 'idempotency-key': 'd' },
  )
  expectRefusal(answer, 400, 'invalid_request', 'fulfil_by')
  expect(await contents(db)).toEqual(before)
})

test('a deadline of almost five years is accepted', async () => {
  const { call } = await testShop(db)
  const fulfil_by = timeAhead(5 * 365 * DAY_MS - 60_000)
  const made = await call('POST', path, { ...order, fulfil_by })
  expect([made.status, made.body.fulfil_by]).toEqual([201, fulfil_by])
})

test('a repeated key gets the first answer again, even after the deadline', async () => {
  const { call } = await testShop(db)
  const soon = { ...order, fulfil_by: timeAhead(300) }
  const ask = () => call('POST', path, soon, { 'idempotency-key': 'soon' })
  const made = await ask()
  expect(made.status).toBe(201)
  await pause(Date.parse(soon.fulfil_by) - Date.now() + 50)
  expectRefusal(await call('POST', path, soon), 400, 'invalid_request', 'fulfil_by')
  const again = await ask()
  expect([again.status, again.body]).toStrictEqual([201, made.body])
  expect(again.headers.get('idempotent-replayed')).toBe('true')
})

test('a saga is started under the id of the order with the deliveries of order.created', async () => {
  const { call, started, merchant } = await testShop(db)
  const endpoint = { url: 'https://shop.example/hooks' }
  const { body: target } = await call('POST', '/api/v1/webhook_endpoints', endpoint)
  const { body } = await call('POST', path, order)
  const [event] = await db.select().from(events).where(eq(events.resourceId, body.id))
  expect(JSON.parse(event?.body ?? '')).toStrictEqual({
    id: event?.id,
    type: 'order.created',
    created_at: body.created_at,
    data: { object: body },
  })
  const made = await db
    .select()
    .from(deliveries)
    .where(eq(deliveries.eventId, event?.id ?? ''))
  expect(made).toHaveLength(1)
  expect(started).toHaveLength(1)
  expect(started[0]).toMatchObject({
    workflowType: 'orderSaga',
    workflowId: body.id,
    taskQueue: 'payments',
    staticSummary: '₹500.00 order',
    staticDetails: `Merchant \`${merchant.id}\``,
  })
  const delivery = {
    id: made[0]?.id,
    merchantId: merchant.id,
    endpointId: target.id,
    eventType: 'order.created',
    host: 'shop.example',
  }
  expect(started[0]?.args).toStrictEqual([body.id, [delivery]])
  const [row] = await db.select().from(orders).where(eq(orders.id, body.id))
  expect((row?.nextSweepAt?.getTime() ?? 0) - Date.parse(body.created_at)).toBe(30_000)
})

test('one of ten orders with one reference at the same moment is created, the rest get 409', async () => {
  const { call, merchant } = await testShop(db)
  const ask = () => call('POST', path, { ...order, reference: 'R-1' })
  const answers = await Promise.all(Array.from({ length: 10 }, ask))
  const refused = answers.filter(({ status }) => status !== 201)
  expect(refused).toHaveLength(9)
  for (const answer of refused) expectRefusal(answer, 409, 'reference_taken', 'reference')
  const made = await db.select().from(events).where(eq(events.merchantId, merchant.id))
  expect(made).toHaveLength(1)
  expect((await call('POST', path, { ...order, reference: 'r-1' })).status).toBe(201)
})

test.each([newId('order'), newId('payment'), 'ord_01jzxd4f7ve7q9w4d4pmx6k5hr'])(
  'a reference that looks like an id is refused: %s',
  async (reference) => {
    const { call } = await testShop(db)
    const before = await contents(db)
    const answer = await call('POST', path, { ...order, reference })
    expectRefusal(answer, 400, 'invalid_request', 'reference')
    expect(await contents(db)).toEqual(before)
  },
)

test.each(['ord_test_001', 'TEST_1', 'ORDER_123', 'ord_1', '01jzxd4f7ve7q9w4d4pmx6k5hr'])(
  'a reference of a usual shape is accepted: %s',
  async (reference) => {
    const { call } = await testShop(db)
    const made = await call('POST', path, { ...order, reference })
    expect([made.status, made.body.reference]).toEqual([201, reference])
  },
)

test('a payment that succeeds moves its order to "paid" and emits order.paid once', async () => {
  const { call } = await testShop(db)
  const { body: made } = await call('POST', path, { ...order, reference: 'R-1' })
  const pay = () => call('POST', '/api/v1/payments', { ...upi, order_id: 'R-1' })
  const shownNow = async () => (await call('GET', `${path}/${made.id}`)).body
  const declined = await pay()
  expect(await shownNow()).toStrictEqual(made)
  await fail(db, declined.body.id)
  expect(await shownNow()).toStrictEqual(made)

  await call('POST', '/api/v1/webhook_endpoints', { url: 'https://shop.example/hooks' })
  const { body: payment } = await pay()
  const { deliveries: sent } = await succeed(db, payment.id)
  expect(sent.map(({ eventType }) => eventType)).toEqual(['payment.succeeded', 'order.paid'])
  await succeed(db, payment.id)
  const paid = await shownNow()
  const change = { status: 'paid', payment_id: payment.id, updated_at: paid.updated_at }
  expect(paid).toStrictEqual({ ...made, ...change })
  expect(paid.updated_at > made.updated_at).toBe(true)
  const told = (await call('GET', '/api/v1/events?type=order.paid')).body.data
  expect(told).toHaveLength(1)
  expect(told[0].data.object).toStrictEqual(paid)
})

test('a canceled order stays canceled when its payment succeeds, and is compensated again', async () => {
  const { call } = await testShop(db)
  const { body: made } = await call('POST', path, order)
  const { body: payment } = await call('POST', '/api/v1/payments', { ...upi, order_id: made.id })
  await cancelOrder(db, made.id, 'requested', new Date())
  // The compensation has ended.
  await db.update(orders).set({ isCompensating: false }).where(eq(orders.id, made.id))
  const { body: canceled } = await call('GET', `${path}/${made.id}`)
  expect(canceled).toMatchObject({ status: 'canceled', cancellation_reason: 'requested' })
  const now = Date.now()
  expect((await succeed(db, payment.id)).status).toBe('succeeded')
  expect((await call('GET', `${path}/${made.id}`)).body).toStrictEqual(canceled)
  expect((await call('GET', '/api/v1/events?type=order.paid')).body.data).toEqual([])
  const [row] = await db.select().from(orders).where(eq(orders.id, made.id))
  expect(row?.isCompensating).toBe(true) // the saga starts again and refunds
  expect(row?.nextSweepAt?.getTime()).toBeGreaterThanOrEqual(now)
  expect((await call('GET', `/api/v1/payments/${payment.id}`)).body.needs_attention).toBe(false)
  const again = await call('POST', '/api/v1/payments', { ...upi, order_id: made.id })
  expectRefusal(again, 409, 'conflict', 'order_id')
})
