import { testDb } from '../support/db.ts'
import { byCard, card, contents, expectRefusal, succeed, testShop, upi } from '../support/http.ts'

const db = testDb()
let shop: Awaited<ReturnType<typeof testShop>>
const paths: Record<string, string> = {}

beforeAll(async () => {
  shop = await testShop(db)
  const { id } = (await shop.call('POST', '/api/v1/payments', upi)).body
  await succeed(db, id)
  paths.refunds = `payments/${id}/refunds`
})

const url = 'https://shop.example/hooks'
const order = { amount: 700, currency: 'INR' }
const payout = { ...order, destination: { type: 'vpa', vpa: 'asha@upi' } }
const bank = { type: 'bank_account', account_number: '000123456789', bank_code: 'HDFC0000123' }
const toBank = (change: object) => ({
  ...order,
  destination: { ...bank, holder_name: 'Asha Rao', ...change },
})
const by = (fulfil_by: string) => ({ ...order, fulfil_by })
const later = new Date(Date.now() + 86_400_000).toISOString().slice(0, 19)
const laterInIndia = new Date(Date.now() + 86_400_000 + 19_800_000).toISOString().slice(0, 19)

/** `same` is the request `first`, written with another `what`. `other` is another request. */
type Spelling = [what: string, route: string, first: unknown, same: unknown, other: unknown]

const spellings: Spelling[] = [
  [
    'the order of fields',
    'payments',
    '{"amount":700,"currency":"INR","method":"upi","vpa":"a@upi","metadata":{"a":"1","b":"2"}}',
    '{"metadata":{"b":"2","a":"1"},"vpa":"a@upi","method":"upi","currency":"INR","amount":700}',
    '{"amount":700,"currency":"INR","method":"upi","vpa":"a@upi","metadata":{"a":"2","b":"1"}}',
  ],
  [
    'white space, escapes and the form of numbers',
    'payments',
    '{"amount":700,"currency":"INR","method":"upi","vpa":"a@upi","description":"é"}',
    '{ "amount": 7.0e2, "currency": "INR", "method": "upi", "vpa": "a@upi", "description": "\\u00e9" }',
    '{"amount":701,"currency":"INR","method":"upi","vpa":"a@upi","description":"é"}',
  ],
  [
    'a default that it leaves out',
    'payments',
    upi,
    { ...upi, capture_method: 'automatic', metadata: {} },
    byCard,
  ],
  [
    'the case of a currency',
    'payments',
    upi,
    { ...upi, currency: 'inr' },
    { ...upi, currency: 'EUR' },
  ],
  [
    'the groups of a card number',
    'payments',
    byCard,
    { ...byCard, card: { ...card, number: card.number.replace(/(.{4})/g, '$1 ').trim() } },
    { ...byCard, card: { ...card, exp_month: 11 } },
  ],
  [
    'how an instant is written',
    'orders',
    by(`${later}Z`),
    by(`${laterInIndia}.000+05:30`),
    by(`${later}.001Z`),
  ],
  [
    'how the expiry of a link is written',
    'payment_links',
    { ...order, expires_at: `${later}Z` },
    { ...order, expires_at: `${later}+00:00` },
    { ...order, expires_at: `${later}+00:01` },
  ],
  [
    'how Unicode encodes a reference',
    'orders',
    { ...order, reference: 'caf\u00e9' },
    { ...order, reference: 'cafe\u0301' },
    { ...order, reference: 'cafe' },
  ],
  [
    'the order of event types',
    'webhook_endpoints',
    { url, event_types: ['payment.failed', 'payment.succeeded', 'order.paid'] },
    { event_types: ['order.paid', 'payment.failed', 'payment.succeeded'], url },
    { url, event_types: ['payment.failed', 'payment.succeeded'] },
  ],
  [
    'a null for an absent field',
    'webhook_endpoints',
    { url },
    { url, event_types: null, description: null },
    { url, retry_schedule: [] },
  ],
  [
    'nothing (the order of a schedule counts)',
    'webhook_endpoints',
    { url, retry_schedule: [1, 2] },
    { url, retry_schedule: [1, 2] },
    { url, retry_schedule: [2, 1] },
  ],
  [
    'the separators of an account number',
    'payouts',
    toBank({}),
    toBank({ account_number: '0001-2345 6789' }),
    payout,
  ],
  [
    'the fields of a destination',
    'payouts',
    payout,
    { destination: { vpa: 'asha@upi', type: 'vpa' }, ...order },
    toBank({}),
  ],
  [
    'the order of the fields of a refund',
    'refunds',
    { amount: 1, reason: 'x' },
    { reason: 'x', amount: 1 },
    { amount: 2 },
  ],
  [
    'the default type of a test event',
    'test/events',
    {},
    { type: 'payment.succeeded' },
    { type: 'order.paid' },
  ],
]

const topUp = () => shop.call('POST', '/api/v1/test/balance_topups', { ...order, amount: 100_000 })
const pathOf = (route: string) => `/api/v1/${paths[route] ?? route}`

test.each(spellings)(
  'a repeat that differs only in %s (POST %s) gets the first answer, and another value gets 422',
  async (what, route, first, same, other) => {
    await topUp()
    const key = { 'idempotency-key': what.replaceAll(',', '') }
    const made = await shop.call('POST', pathOf(route), first, key)
    expect([made.status, made.body.error]).toEqual([201, undefined])
    const before = await contents(db)
    const again = await shop.call('POST', pathOf(route), same, key)
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([201, 'true'])
    expect(again.body).toStrictEqual(made.body)
    const refused = await shop.call('POST', pathOf(route), other, key)
    expectRefusal(refused, 422, 'idempotency_key_reused', 'Idempotency-Key')
    expect(await contents(db)).toEqual(before)
  },
)

test('a repeat whose path is percent-encoded is the same request', async () => {
  const key = { 'idempotency-key': 'encoded' }
  const path = pathOf('refunds')
  const made = await shop.call('POST', path, { amount: 3 }, key)
  const again = await shop.call('POST', path.replace('pay_', '%70%61y%5F'), { amount: 3 }, key)
  expect([again.status, again.body.id]).toEqual([201, made.body.id])
})

const created = ['payments', 'orders', 'payment_links', 'invoices', 'payouts', 'refunds'] as const
const bodies: Record<string, object> = { payments: upi, payouts: payout, refunds: { amount: 1 } }

test.each(created)(
  'a second Idempotency-Key header on POST %s is refused with 400 and creates nothing',
  async (route) => {
    await topUp()
    const before = await contents(db)
    for (const [first, second] of [
      ['K', 'K'],
      ['K', 'L'],
      ['', 'K'],
      ['K', ''],
    ]) {
      const headers = new Headers({
        authorization: `Bearer ${shop.merchant.secret}`,
        'content-type': 'application/json',
        'idempotency-key': `${first}`,
      })
      headers.append('idempotency-key', `${second}`)
      const body = JSON.stringify(bodies[route] ?? order)
      const answer = await shop.app.request(pathOf(route), { method: 'POST', headers, body })
      expect(answer.status).toBe(400)
      expect(await answer.json()).toMatchObject({
        error: { code: 'invalid_request', param: 'Idempotency-Key' },
      })
    }
    expect(await contents(db)).toEqual(before)
  },
)

test('a comma without a space may stand in an Idempotency-Key', async () => {
  const made = await shop.call('POST', '/api/v1/orders', order, { 'idempotency-key': 'cart,17' })
  expect(made.status).toBe(201)
})
