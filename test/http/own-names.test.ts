import { testDb } from '../support/db.ts'
import { contents, expectRefusal, testShop, upi } from '../support/http.ts'

const db = testDb()
const order = { amount: 50_000, currency: 'INR' }
const [composed, decomposed] = ['caf\u00e9', 'cafe\u0301']

/** A merchant gives these names. Each entry has a path and a body that carries the name. */
const named = {
  'reference of an order': ['/api/v1/orders', (reference: string) => ({ ...order, reference })],
  'order_id of a payment': ['/api/v1/payments', (order_id: string) => ({ ...upi, order_id })],
  'event_id on the synchronous route': [
    '/webhooks-sync/payments',
    (event_id: string) => ({ event_id, invoice_id: 1, amount: 5 }),
  ],
  'event_id on the asynchronous route': [
    '/webhooks/payments',
    (event_id: string) => ({ event_id, invoice_id: 1, amount: 5 }),
  ],
} as const
const edges = [
  ' ',
  '\t',
  '\n',
  '\u00a0',
  '\u2003',
  '\u200b',
  '\ufeff',
  '\u202e',
  '\u0007',
  '\u3164',
  '\u2800',
]

test.each(Object.entries(named))(
  'a %s with white space or an invisible character at an end is refused and stores nothing',
  async (name, [path, toBody]) => {
    const { call } = await testShop(db)
    await call('POST', '/api/v1/invoices', { ...order, number: 1 })
    const before = await contents(db)
    for (const edge of edges)
      for (const text of [`${edge}A`, `A${edge}`, edge]) {
        const answer = await call('POST', path, toBody(text))
        expectRefusal(answer, 400, 'invalid_request', name.split(' ')[0])
        expect(answer.body.error.message).toMatch(/must not begin or end with white space/)
      }
    expect(await contents(db)).toEqual(before)
  },
)

test('two references that Unicode writes differently are one order', async () => {
  const { call } = await testShop(db)
  const made = await call('POST', '/api/v1/orders', { ...order, reference: decomposed })
  expect([made.status, made.body.reference]).toEqual([201, composed])
  for (const reference of [composed, decomposed])
    expectRefusal(
      await call('POST', '/api/v1/orders', { ...order, reference }),
      ...([409, 'reference_taken', 'reference'] as const),
    )
  const filter = `/api/v1/orders?reference=${encodeURIComponent(decomposed)}`
  expect((await call('GET', filter)).body.data).toMatchObject([{ id: made.body.id }])
  const ofOrder = `/api/v1/payments?order_id=${encodeURIComponent(decomposed)}`
  const paid = await call('POST', '/api/v1/payments', { ...upi, order_id: decomposed })
  expect(paid.body.order_id).toBe(made.body.id)
  expect((await call('GET', ofOrder)).body.data).toMatchObject([{ id: paid.body.id }])
  const again = await call('POST', '/api/v1/payments', { ...upi, order_id: composed })
  expectRefusal(again, 409, 'order_payment_in_progress')
})

test('two event ids that Unicode writes differently are one event', async () => {
  const { call } = await testShop(db)
  await call('POST', '/api/v1/invoices', { ...order, number: 1 })
  const event = { invoice_id: 1, amount: 5 }
  await call('POST', '/webhooks-sync/payments', { ...event, event_id: composed })
  const again = await call('POST', '/webhooks-sync/payments', { ...event, event_id: decomposed })
  expect(again.body).toMatchObject({ duplicate: true, invoice: { amount_paid: 5 } })
})

test('white space and other scripts may stand within a reference', async () => {
  const { call } = await testShop(db)
  for (const reference of ['A 1', 'चाय १७', 'क्\u200dष', '👩\u200d👧', 'gift ❤\ufe0f'])
    expect((await call('POST', '/api/v1/orders', { ...order, reference })).body.reference).toBe(
      reference,
    )
})
