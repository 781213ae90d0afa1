import { eq } from 'drizzle-orm'
import { createStarter } from '../../api/http/try-start.ts'
import { payments } from '../../db/payments/schema.ts'
import { deliveries, events } from '../../db/webhooks/schema.ts'
import { providerFor } from '../../providers/index.ts'
import type { Provider } from '../../providers/provider.ts'
import { createTemporalClient } from '../../temporal/client.ts'
import { testProviders } from '../support/app.ts'
import { testDb } from '../support/db.ts'
import {
  byCard,
  card,
  cardNumber,
  contents,
  cvcInText,
  expectRefusal,
  succeed,
  tableTexts,
  testShop,
  upi,
} from '../support/http.ts'
import { keptLog, silent } from '../support/log.ts'
import { addEndpoint } from '../webhooks/delivery.ts'

const db = testDb()
afterEach(() => jest.restoreAllMocks())

const paymentId = expect.stringMatching(/^pay_[0-7][0-9a-hjkmnp-tv-z]{25}$/)
const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const pending = {
  id: paymentId,
  object: 'payment',
  status: 'pending',
  amount: 50_000,
  amount_captured: 0,
  amount_refunded: 0,
  currency: 'INR',
  method: 'upi',
  order_id: null,
  capture_method: 'automatic',
  card: null,
  vpa: 'as***@upi',
  failure_code: null,
  failure_message: null,
  needs_attention: false,
  description: null,
  metadata: {},
  created_at: timestamp,
  updated_at: timestamp,
}

test('a upi payment is accepted as pending, with its address masked', async () => {
  const { call } = await testShop(db)
  const metadata = { cart: '17', ключ: '₹ 😀' }
  const body = { ...upi, description: 'Two tickets', capture_method: 'automatic', metadata }
  const made = await call('POST', '/api/v1/payments', body)
  expect(made.status).toBe(201)
  expect(made.body).toStrictEqual({ ...pending, description: 'Two tickets', metadata })
  const shown = await call('GET', `/api/v1/payments/${made.body.id}`)
  expect(shown.status).toBe(200)
  expect(shown.body).toStrictEqual(made.body)
})

test('a card payment shows the brand and the last four digits', async () => {
  const { call } = await testShop(db)
  const made = await call('POST', '/api/v1/payments', {
    ...byCard,
    card: { ...card, number: '4539 1488-0343 6467', name: 'A. Rao' },
  })
  expect(made.status).toBe(201)
  const shown = { brand: 'visa', last4: '6467' }
  expect(made.body).toStrictEqual({ ...pending, method: 'card', vpa: null, card: shown })
})

test('a card number and its cvc are in no table, and in no answer', async () => {
  const { call, merchant } = await testShop(db)
  await addEndpoint(db, { merchantId: merchant.id, url: 'https://shop.example/hooks' })
  const key = { 'idempotency-key': 'card-1' }
  const made = await call('POST', '/api/v1/payments', byCard, key)
  expect(made.status).toBe(201)
  await succeed(db, made.body.id)
  const tables = await tableTexts(db)
  expect(tables.payments).toContain(made.body.id)
  expect(tables.idempotency_keys).toContain('card-1')
  for (const text of [...Object.values(tables), JSON.stringify(made.body)]) {
    expect(text).not.toContain(cardNumber.slice(0, 12))
    expect(text).not.toMatch(cvcInText)
    expect(text).not.toContain('cvc')
  }
})

test.each(['inr', 'InR', 'INR'])('the currency %s is answered in upper case', async (currency) => {
  const { call } = await testShop(db)
  const made = await call('POST', '/api/v1/payments', { ...upi, currency })
  expect([made.status, made.body.currency]).toEqual([201, 'INR'])
})

test('a payment starts a workflow under its id with deliveries of payment.created', async () => {
  const { call, started, merchant } = await testShop(db)
  const url = 'https://shop.example:8443/hooks'
  const endpoint = await addEndpoint(db, { merchantId: merchant.id, url })
  const { body } = await call('POST', '/api/v1/payments', upi)
  const made = await db.select().from(deliveries).where(eq(deliveries.endpointId, endpoint.id))
  expect(made).toHaveLength(1)
  expect(made[0]).toMatchObject({ status: 'pending', nextSweepAt: expect.any(Date) })
  expect(started).toHaveLength(1)
  expect(started[0]).toMatchObject({
    workflowType: 'processPayment',
    workflowId: body.id,
    taskQueue: 'payments',
    staticSummary: '₹500.00 upi payment',
  })
  expect(started[0]?.args).toStrictEqual([
    body.id,
    [
      {
        id: made[0]?.id,
        merchantId: merchant.id,
        endpointId: endpoint.id,
        eventType: 'payment.created',
        host: 'shop.example:8443',
      },
    ],
  ])
})

test('payment.created is stored with its payment, as text that survives parsing', async () => {
  const { call } = await testShop(db)
  const { body } = await call('POST', '/api/v1/payments', { ...upi, metadata: { b: '2', a: 'é' } })
  const recorded = await db.select().from(events).where(eq(events.resourceId, body.id))
  expect(recorded).toHaveLength(1)
  const [event] = recorded
  const text = event?.body ?? ''
  expect(JSON.stringify(JSON.parse(text))).toBe(text)
  expect(JSON.parse(text)).toStrictEqual({
    id: event?.id,
    type: 'payment.created',
    created_at: body.created_at,
    data: { object: body },
  })
})

test('payments are taken while Temporal is away, and soon without waiting for it', async () => {
  const temporal = createTemporalClient({ address: '127.0.0.1:1', namespace: 'default' })
  const tried = jest.spyOn(temporal, 'withDeadline')
  const { call } = await testShop(db, { temporal, tryStart: createStarter(temporal, silent) })
  await call('GET', '/api/v1/payments')
  async function timed() {
    const at = performance.now()
    const { status, body } = await call('POST', '/api/v1/payments', upi)
    expect([status, body.status]).toEqual([201, 'pending'])
    const [row] = await db.select().from(payments).where(eq(payments.id, body.id))
    const waitMs = (row?.nextSweepAt?.getTime() ?? 0) - (row?.createdAt.getTime() ?? 0)
    expect(waitMs).toBe(30_000)
    return performance.now() - at
  }
  for (const _ of [1, 2, 3]) expect(await timed()).toBeLessThan(1_500)
  expect(tried).toHaveBeenCalledTimes(3)
  expect(await timed()).toBeLessThan(300)
  expect(tried).toHaveBeenCalledTimes(3)
  await Promise.allSettled(tried.mock.results.map(({ value }) => value)) // none outlives the test
  await temporal.connection.close()
})

describe('A card exchange that is away', () => {
  function shopWith(createCardToken: Provider['createCardToken'], log = silent) {
    const sandbox = { ...providerFor(testProviders(db), 'sandbox'), createCardToken }
    return testShop(db, { log, providers: { sandbox } })
  }

  test('a card payment is refused with 503, and no card data is stored or logged', async () => {
    const { log, lines } = keptLog()
    const failing: Provider['createCardToken'] = async ({ number, cvc }) => {
      throw new Error(`HTTP 500 for {"number":"${number}","cvc":"${cvc}"}`)
    }
    const { call, started } = await shopWith(failing, log)
    const before = await contents(db)
    const answer = await call('POST', '/api/v1/payments', byCard, { 'idempotency-key': 'away' })
    expectRefusal(answer, 503, 'unavailable')
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(answer.body.error.message).not.toContain('HTTP 500')
    expect(await contents(db)).toEqual(before)
    expect(started).toEqual([])
    expect(lines).toMatchObject([{ level: 50 }, { level: 30 }])
    expect(JSON.stringify(lines)).not.toMatch(new RegExp(`HTTP 500|${cardNumber}`))
    expect(JSON.stringify(lines)).not.toMatch(cvcInText)
  })

  test('a card exchange that does not answer is given up after five seconds', async () => {
    const { call } = await shopWith((_, signal) => {
      return new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason)),
      )
    })
    const before = await contents(db)
    const at = performance.now()
    expectRefusal(await call('POST', '/api/v1/payments', byCard), 503, 'unavailable')
    expect(performance.now() - at).toBeGreaterThan(4_500)
    expect(performance.now() - at).toBeLessThan(6_500)
    expect(await contents(db)).toEqual(before)
  })

  test('a upi payment does not need the card exchange', async () => {
    const { call } = await shopWith(() => Promise.reject(new Error('away')))
    expect((await call('POST', '/api/v1/payments', upi)).status).toBe(201)
  })
})
