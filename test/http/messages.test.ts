import { testDb } from '../support/db.ts'
import { byCard, testShop, upi } from '../support/http.ts'

const db = testDb()
let shop: Awaited<ReturnType<typeof testShop>>
beforeAll(async () => {
  shop = await testShop(db)
})

const payments = 'POST /api/v1/payments'
const orders = 'POST /api/v1/orders'
const order = { amount: 700, currency: 'INR' }
const endpoint = { url: 'https://shop.example/hooks' }
const LOST_PLUS = 'A "+" in a URL means a space. Send the "+" of the offset as %2B.'
const A_TIME =
  'The value must be a time in ISO 8601 with its offset, such as "2026-01-31T09:30:00Z".'
const INVOICE = 'The value must be the number of an invoice, without quotes, or the id of one.'

const messages: [route: string, body: unknown, message: string][] = [
  [payments, 7, 'The value must be an object.'],
  [payments, {}, 'Missing field: amount.'],
  [payments, { ...upi, method: undefined }, 'Missing field: method.'],
  [payments, { ...upi, amount: '7' }, 'amount: The value must be a number.'],
  [payments, { ...upi, amount: 1.5 }, 'amount: The value must be an integer, without a fraction.'],
  [payments, { ...upi, amount: -7 }, 'amount: The number must be more than 0.'],
  [payments, { ...upi, amount: 1e13 }, 'amount: The number must be at most 999999999999.'],
  [payments, { ...upi, amount: 1e20 }, 'amount: The number must be at most 999999999999.'],
  [payments, { ...upi, method: 'cash' }, 'method: The value must be one of "upi", "card".'],
  [payments, { ...upi, metadata: [] }, 'metadata: The value must be an object.'],
  [payments, { ...upi, metadata: { a: 1 } }, 'metadata.a: The value must be a string.'],
  [
    payments,
    { ...upi, metadata: { ['a'.repeat(41)]: 'x' } },
    `metadata.${'a'.repeat(41)}: The name is not allowed. The text has 41 characters. At most 40 are allowed.`,
  ],
  [
    payments,
    { ...upi, metadata: { '': 'x' } },
    'metadata.: The name is not allowed. The text must not be empty.',
  ],
  [
    payments,
    { ...upi, ['x'.repeat(300)]: 1 },
    `Unknown field: ${'x'.repeat(200)}…. Leave it out, or correct its name.`,
  ],
  [payments, { ...upi, ammount: 1 }, 'Unknown field: ammount. Leave it out, or correct its name.'],
  [payments, { ...upi, vpa: undefined }, 'vpa: The method upi needs this field.'],
  [
    payments,
    { ...byCard, vpa: 'a@upi' },
    'vpa: The field belongs to the method upi, and the method is card.',
  ],
  [payments, { ...upi, vpa: 'asha' }, 'vpa: The value must be a UPI address, such as asha@upi.'],
  [payments, { ...byCard, card: 4 }, 'card: The value must be an object.'],
  [payments, { ...upi, description: '' }, 'description: The text must not be empty.'],
  [
    payments,
    { ...upi, description: 'x'.repeat(501) },
    'description: The text has 501 characters. At most 500 are allowed.',
  ],
  [orders, { ...order, fulfil_by: 'tomorrow' }, `fulfil_by: ${A_TIME}`],
  [
    orders,
    { ...order, fulfil_by: '2020-01-01T00:00:00Z' },
    'fulfil_by: The time must be in the future.',
  ],
  [
    'POST /api/v1/payouts',
    { ...order, destination: { type: 'iban' } },
    'destination.type: The value must be one of "vpa", "bank_account".',
  ],
  ['POST /api/v1/payouts', { ...order, destination: {} }, 'Missing field: destination.type.'],
  [
    'POST /webhooks-sync/payments',
    { event_id: 'a', invoice_id: '17', amount: 1 },
    `invoice_id: ${INVOICE}`,
  ],
  [
    'POST /webhooks-sync/payments',
    { event_id: 'a', invoice_id: true, amount: 1 },
    `invoice_id: ${INVOICE}`,
  ],
  [
    'POST /api/v1/webhook_endpoints',
    { ...endpoint, event_types: ['payment.paid'] },
    'event_types.0: The value must be one of the 33 that the documentation lists.',
  ],
  [
    'POST /api/v1/webhook_endpoints',
    { ...endpoint, event_types: [] },
    'event_types: The list must not be empty.',
  ],
  [
    'POST /api/v1/webhook_endpoints',
    { ...endpoint, retry_schedule: Array(21).fill(1) },
    'retry_schedule: The list has 21 items. At most 20 are allowed.',
  ],
  [
    'GET /api/v1/payments?created_after=2026-01-01T00:00:00+05:30',
    undefined,
    `created_after: ${LOST_PLUS}`,
  ],
  [
    'GET /api/v1/orders?created_before=2026-01-01T00:00:00.5+0530',
    undefined,
    `created_before: ${LOST_PLUS}`,
  ],
  ['GET /api/v1/orders?created_before=2026-01-01 05', undefined, `created_before: ${A_TIME}`],
  [
    'GET /api/v1/payments/',
    undefined,
    'No such route: GET /api/v1/payments/. Remove the slash at the end of the path: /api/v1/payments',
  ],
  [
    'POST /api/v1/payments/pay_1/capture//',
    {},
    'No such route: POST /api/v1/payments/pay_1/capture//. Remove the slash at the end of the path: /api/v1/payments/pay_1/capture',
  ],
  [
    'GET /health/',
    undefined,
    'No such route: GET /health/. Remove the slash at the end of the path: /health',
  ],
  ['GET /api/v1/nothing/', undefined, 'No such route: GET /api/v1/nothing/'],
]

test.each(messages)(
  '%s with %j is refused with a message that names the broken rule',
  async (route, body, message) => {
    const [, method = '', path = ''] = /^(\S+) (.*)$/.exec(route) ?? []
    const answer = await shop.call(method, path, body)
    expect([answer.status, answer.body.error.message]).toEqual([
      message.startsWith('No such') ? 404 : 400,
      message,
    ])
  },
)

test('a time offset whose plus sign is encoded is accepted', async () => {
  const answer = await shop.call(
    'GET',
    '/api/v1/payments?created_after=2026-01-01T00:00:00%2B05:30',
  )
  expect(answer.status).toBe(200)
})
