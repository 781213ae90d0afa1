import { openDb } from '../../db/client.ts'
import { callAs, testApp } from '../support/app.ts'
import { testDb } from '../support/db.ts'
import { byCard, card, expectRefusal, rowCounts, testShop, upi } from '../support/http.ts'
import { keptLog } from '../support/log.ts'

const db = testDb()
let shop: Awaited<ReturnType<typeof testShop>>
const ids = { order: '', payment: '', endpoint: '' }

beforeAll(async () => {
  shop = await testShop(db)
  const order = { amount: 700, currency: 'INR', reference: 'TAKEN' }
  ids.order = (await shop.call('POST', '/api/v1/orders', order)).body.id
  ids.payment = (await shop.call('POST', '/api/v1/payments', upi)).body.id
  await shop.call('POST', '/api/v1/invoices', { amount: 700, currency: 'INR', number: 17 })
  const endpoint = { url: 'https://shop.example/hooks' }
  ids.endpoint = (await shop.call('POST', '/api/v1/webhook_endpoints', endpoint)).body.id
})
afterEach(() => jest.restoreAllMocks())

const payments = 'POST /api/v1/payments'
const orders = 'POST /api/v1/orders'
const invoices = 'POST /api/v1/invoices'
const endpoints = 'POST /api/v1/webhook_endpoints'
const order = { amount: 700, currency: 'INR' }
const url = 'https://shop.example/hooks'
const pay = (change: object) => ({ ...upi, ...change })
const withCard = (change: object) => ({ ...byCard, card: { ...card, ...change } })
const pairs = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [n, '']))
const nested = (depth: number) => `${'{"metadata":'.repeat(depth)}1${'}'.repeat(depth)}`
const endless = `${'['.repeat(500_000)}${']'.repeat(500_000)}`
const without = (field: string) => JSON.stringify({ ...upi, [field]: undefined })

/** `name` says what is wrong, `param` is the field to blame, and `status` is 400 by default. */
type Bad = [
  name: string,
  route: string,
  body: unknown,
  param: string | null | undefined,
  status?: number,
]

const badPayments: Bad[] = [
  ['no body', payments, undefined, 'amount'],
  ['no amount', payments, without('amount'), 'amount'],
  ['no currency', payments, without('currency'), 'currency'],
  ['no method', payments, without('method'), 'method'],
  ['no vpa', payments, without('vpa'), 'vpa'],
  ['no card', payments, { ...byCard, card: undefined }, 'card'],
  ['an amount of zero', payments, pay({ amount: 0 }), 'amount'],
  ['a negative amount', payments, pay({ amount: -1 }), 'amount'],
  ['a fraction of a paisa', payments, pay({ amount: 1.5 }), 'amount'],
  ['an amount as text', payments, pay({ amount: '50000' }), 'amount'],
  ['an amount of null', payments, pay({ amount: null }), 'amount'],
  ['an amount of true', payments, pay({ amount: true }), 'amount'],
  ['an amount above the limit', payments, pay({ amount: 1_000_000_000_000 }), 'amount'],
  ['an amount beyond 2^53', payments, '{"amount":9007199254740993}', 'amount'],
  ['an amount beyond any double', payments, '{"amount":1e400}', 'amount'],
  ['an unknown currency', payments, pay({ currency: 'ABC' }), 'currency'],
  ['a currency of two letters', payments, pay({ currency: 'IN' }), 'currency'],
  ['a currency with a space', payments, pay({ currency: 'INR ' }), 'currency'],
  ['a currency as a number', payments, pay({ currency: 356 }), 'currency'],
  ['an unknown method', payments, pay({ method: 'cash' }), 'method'],
  ['a method of the prototype', payments, pay({ method: 'toString' }), 'method'],
  ['a vpa without a handle', payments, pay({ vpa: 'asha' }), 'vpa'],
  ['a vpa with two', payments, pay({ vpa: 'asha@upi@upi' }), 'vpa'],
  ['a vpa with a line break', payments, pay({ vpa: 'asha@upi\n' }), 'vpa'],
  ['a vpa that is too long', payments, pay({ vpa: `${'a'.repeat(256)}@upi` }), 'vpa'],
  ['a card for upi', payments, pay({ card }), 'card'],
  ['a vpa for a card', payments, { ...byCard, vpa: 'asha@upi' }, 'vpa'],
  ['a card that fails Luhn', payments, withCard({ number: '4242424242424241' }), 'card.number'],
  ['a card number as a number', payments, withCard({ number: 4242424242424242 }), 'card.number'],
  ['a card number with letters', payments, withCard({ number: '4242x' }), 'card.number'],
  ['an expired card', payments, withCard({ exp_month: 1, exp_year: 2020 }), 'card.exp_year'],
  ['a thirteenth month', payments, withCard({ exp_month: 13 }), 'card.exp_month'],
  ['a year of two digits', payments, withCard({ exp_year: 34 }), 'card.exp_year'],
  ['a cvc of two digits', payments, withCard({ cvc: '12' }), 'card.cvc'],
  ['a cvc as a number', payments, withCard({ cvc: 123 }), 'card.cvc'],
  ['an unknown field of a card', payments, withCard({ pin: '1234' }), 'card.pin'],
  ['an unknown field', payments, pay({ ammount: 5 }), 'ammount'],
  ['a field called __proto__', payments, `{"__proto__":{},${without('x').slice(1)}`, '__proto__'],
  ['an unknown capture method', payments, pay({ capture_method: 'later' }), 'capture_method'],
  ['a description of 501', payments, pay({ description: 'x'.repeat(501) }), 'description'],
  ['an empty order_id', payments, pay({ order_id: '' }), 'order_id'],
  ['51 pairs of metadata', payments, pay({ metadata: pairs(51) }), 'metadata'],
  ['a metadata value of 501', payments, pay({ metadata: { a: 'x'.repeat(501) } }), 'metadata.a'],
  ['a metadata number', payments, pay({ metadata: { cart: 17 } }), 'metadata.cart'],
  ['metadata within metadata', payments, pay({ metadata: { a: { b: '' } } }), 'metadata.a'],
  ['metadata as a list', payments, pay({ metadata: ['a'] }), 'metadata'],
  ['NUL in a string', payments, pay({ description: 'a\0b' }), 'description'],
  ['NUL in a metadata value', payments, pay({ metadata: { a: '\0' } }), 'metadata.a'],
  ['NUL in a metadata key', payments, pay({ metadata: { 'a\0': '' } }), 'metadata'],
  ['half a surrogate pair', payments, `{"description":"\\ud83d"}`, 'description'],
  ['its other half', payments, `{"metadata":{"a":"x\\ude00"}}`, 'metadata.a'],
  ['an unknown order', payments, pay({ order_id: 'ORDER_404' }), 'order_id', 404],
  ['the amount of another order', payments, pay({ order_id: 'TAKEN' }), 'amount', 422],
]

const badBodies: Bad[] = [
  ['half a body', payments, '{"amount":', null],
  ['a body that is no JSON', payments, 'amount=50000', null],
  ['single quotes', payments, "{'amount':1}", null],
  ['a list as the body', payments, [upi], null],
  ['a string as the body', payments, '"upi"', null],
  ['null as the body', payments, 'null', null],
  ['a body that is nested deeply', payments, nested(40), 'metadata'],
  ['a body that is nested without end', payments, endless, undefined],
  ['a body above 1 MiB', payments, pay({ description: 'x'.repeat(1_048_576) }), 'body', 413],
]

const badOthers: Bad[] = [
  ['an order without an amount', orders, { currency: 'INR' }, 'amount'],
  ['an order of nothing', orders, { ...order, amount: 0 }, 'amount'],
  ['an order with a method', orders, { ...order, method: 'upi' }, 'method'],
  ['an empty reference', orders, { ...order, reference: '' }, 'reference'],
  ['a reference of 256', orders, { ...order, reference: 'x'.repeat(256) }, 'reference'],
  ['a reference as a number', orders, { ...order, reference: 1 }, 'reference'],
  [
    'a reference like our ids',
    orders,
    { ...order, reference: `ord_${'0'.repeat(26)}` },
    'reference',
  ],
  ['a reference that is taken', orders, { ...order, reference: 'TAKEN' }, 'reference', 409],
  ['an invoice without an amount', invoices, { currency: 'INR' }, 'amount'],
  ['an invoice of nothing', invoices, { ...order, amount: 0 }, 'amount'],
  ['an invoice with a reference', invoices, { ...order, reference: 'TAKEN' }, 'reference'],
  ['an invoice with the number 0', invoices, { ...order, number: 0 }, 'number'],
  ['a number that is taken', invoices, { ...order, number: 17 }, 'number', 409],
  ['an endpoint without a URL', endpoints, {}, 'url'],
  ['a URL that is none', endpoints, { url: 'shop' }, 'url'],
  ['a URL of files', endpoints, { url: 'file:///etc/passwd' }, 'url'],
  ['a URL of scripts', endpoints, { url: 'javascript:alert(1)' }, 'url'],
  ['a URL with a password', endpoints, { url: 'https://a:b@shop.example/' }, 'url'],
  ['a URL with a fragment', endpoints, { url: `${url}#a` }, 'url'],
  ['a URL with a space', endpoints, { url: `${url}/a b` }, 'url'],
  ['a URL of 2,049', endpoints, { url: `${url}/`.padEnd(2_049, 'x') }, 'url'],
  ['an unknown event type', endpoints, { url, event_types: ['payment.paid'] }, 'event_types.0'],
  ['no event types', endpoints, { url, event_types: [] }, 'event_types'],
  ['a wait of no time', endpoints, { url, retry_schedule: [60, 0] }, 'retry_schedule.1'],
  ['a secret of their own', endpoints, { url, secret: 'whsec_x' }, 'secret'],
  ['a status', 'PATCH /api/v1/webhook_endpoints/:endpoint', { status: 'disabled' }, 'status'],
  ['no URL any more', 'PATCH /api/v1/webhook_endpoints/:endpoint', { url: null }, 'url'],
  ['a patch of nothing', 'PATCH /api/v1/webhook_endpoints/we_404', { url }, null, 404],
]

const get = (path: string, param: string | null, status?: number): Bad => [
  path,
  `GET /api/v1/${path}`,
  undefined,
  param,
  ...((status ? [status] : []) as [number?]),
]
const badQueries: Bad[] = [
  ...['0', '101', '-1', '1.5', 'ten', '', '1e400'].map((n) => get(`payments?limit=${n}`, 'limit')),
  get('payments?limit=5&limit=6', 'limit'),
  get('payments?starting_after=pay_404', 'starting_after'),
  get('orders?starting_after=:payment', 'starting_after'),
  get('payments?starting_after=', 'starting_after'),
  get('payments?order_id=', 'order_id'),
  get('payments?status=paid', 'status'),
  get('orders?status=succeeded', 'status'),
  get('invoices?status=overpaid', 'status'),
  get('invoices?number=ten', 'number'),
  get('webhook_deliveries?status=sent', 'status'),
  get('webhook_endpoints?status=deleted', 'status'),
  get('events?type=payment.paid', 'type'),
  get('payments?page=2', 'page'),
  get('events?status=pending', 'status'),
  get('payments?created_after=yesterday', 'created_after'),
  get('payments?created_after=2026-02-30T00:00:00Z', 'created_after'),
  get('orders?created_before=1767225600', 'created_before'),
  get('orders?created_before=0000-01-01T00:00:00Z', 'created_before'),
  get('events?created_after=9999-12-31T23:59:59-23:59', 'created_after'),
  get('payments?order_id=a%00b', 'url'),
  get('payments/pay_%00', 'url'),
  get('payments/pay_404', null, 404),
  get('payments/%f0%28%8c%28', null, 404),
  get('payments/:order', null, 404),
  get('orders/TAKEN', null, 404),
  get('invoices/inv_404', null, 404),
  get('invoices/17', null, 404),
  get('events/evt_404', null, 404),
  get('webhook_deliveries/whd_404', null, 404),
  get('no_such_route', null, 404),
]
const codes: Record<number, string> = {
  400: 'invalid_request',
  404: 'not_found',
  413: 'body_too_large',
  415: 'unsupported_media_type',
}
const special: Record<string, string> = {
  'an unknown order': 'order_not_found',
  'the amount of another order': 'order_mismatch',
  'a reference that is taken': 'reference_taken',
  'a number that is taken': 'number_taken',
}

/** These are messages of zod, Hono and V8, and our fallbacks for a schema without a message. */
const wordsOfLibraries =
  /Invalid (input|key|option|value|string|number|discriminator|ISO|UUID)|[Ee]xpected|received|pattern|regex|Malformed|Too (big|small)|Unrecognized|Unexpected token|undefined|NaN|wrong format|The value is not allowed/

const bad = [...badPayments, ...badBodies, ...badOthers, ...badQueries]
test.each(bad)(
  'a bad request is refused with a message of our own: %s',
  async (name, route, body, param, status = 400) => {
    const [method = '', path = ''] = route.split(' ')
    const real = path.replace(/:(order|payment|endpoint)/, (_, kind: keyof typeof ids) => ids[kind])
    const before = await rowCounts(db)
    const answer = await shop.call(method, real, body)
    expectRefusal(answer, status, special[name] ?? codes[status] ?? '', param)
    expect(answer.body.error.message).not.toMatch(wordsOfLibraries)
    expect(await rowCounts(db)).toEqual(before)
  },
)

test('a field of the wrong type is not called missing', async () => {
  const wrong = await shop.call('POST', '/api/v1/payments', pay({ amount: '50000' }))
  expect(wrong.body.error.message).not.toMatch(/missing/i)
  const missing = await shop.call('POST', '/api/v1/payments', without('amount'))
  expect(missing.body.error.message).toBe('Missing field: amount.')
})

test.each([
  ['PUT', 'payments', ['GET', 'HEAD', 'POST']],
  ['DELETE', 'payments/pay_404', ['GET', 'HEAD']],
  ['POST', 'events', ['GET', 'HEAD']],
  ['PUT', 'webhook_endpoints/we_404', ['DELETE', 'GET', 'HEAD', 'PATCH']],
  ['GET', 'webhook_endpoints/we_404/enable', ['POST']],
])('%s /api/v1/%s is refused with 405 and the allowed methods', async (method, path, allowed) => {
  const answer = await shop.call(method, `/api/v1/${path}`)
  expectRefusal(answer, 405, 'method_not_allowed')
  expect(answer.headers.get('allow')?.split(', ').sort()).toEqual(allowed)
})

test.each(['/webhooks-sync/payments', '/webhooks/payments'])(
  'GET %s is refused with 405 and the allowed method POST',
  async (path) => {
    const answer = await shop.call('GET', path)
    expectRefusal(answer, 405, 'method_not_allowed')
    expect(answer.headers.get('allow')).toBe('POST')
  },
)

test('a request without a database gets a 503 with Retry-After and without internals', async () => {
  const away = openDb('postgres://remit:hunter2@127.0.0.1:1/remit', { statementTimeoutMs: 1_000 })
  const call = callAs(testApp(away).app, shop.merchant)
  const answer = await call('POST', '/api/v1/payments', upi)
  expectRefusal(answer, 503, 'unavailable', null)
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(JSON.stringify(answer.body)).not.toMatch(/127\.0\.0\.1|hunter2|ECONN|select|postgres/i)
  expect((await call('GET', '/health')).status).toBe(200)
  const ready = await call('GET', '/ready')
  expect([ready.status, ready.body.postgres]).toEqual([503, 'unavailable'])
  await away.$client.end()
})

test('an internal error gets a 500 without details and is logged with the request id', async () => {
  const { log, lines } = keptLog()
  const tryStart = () => Promise.reject(new Error('s3cret plan'))
  const { call, merchant } = await testShop(db, { log, tryStart })
  const answer = await call('POST', '/api/v1/payments', upi)
  expectRefusal(answer, 500, 'internal', null)
  expect(JSON.stringify(answer.body)).not.toContain('s3cret')
  expect(answer.body.error.message).toBe('Something went wrong on our side.')
  const ids = { request_id: answer.body.error.request_id, merchant_id: merchant.id }
  const stack = expect.stringMatching(/^Error: s3cret plan\n +at /)
  expect(lines).toMatchObject([
    { level: 50, ...ids, err: { message: 's3cret plan', stack } },
    { level: 30, ...ids, method: 'POST', path: '/api/v1/payments', status: 500 },
  ])
})
