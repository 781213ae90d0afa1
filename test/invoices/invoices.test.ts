import { eq } from 'drizzle-orm'
import { invoices } from '../../db/invoices/schema.ts'
import { deliveries, events } from '../../db/webhooks/schema.ts'
import { testDb } from '../support/db.ts'
import { contents, expectRefusal, testShop } from '../support/http.ts'

const db = testDb()
const path = '/api/v1/invoices'
const HIGHEST = 999_999_999_999
const input = { amount: 50_000, currency: 'INR' }
const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const shown = {
  id: expect.stringMatching(/^inv_[0-7][0-9a-hjkmnp-tv-z]{25}$/),
  object: 'invoice',
  number: 1,
  status: 'sent',
  ...input,
  amount_paid: 0,
  amount_overpaid: 0,
  created_at: timestamp,
  updated_at: timestamp,
}

/** Sets up a merchant who bills. `numbered` creates invoices in order and returns their numbers. */
async function testBiller() {
  const shop = await testShop(db)
  const bill = (change: object = {}, headers = {}) =>
    shop.call('POST', path, { ...input, ...change }, headers)
  const numbered = async (...given: (number | undefined)[]) => {
    const numbers: number[] = []
    for (const number of given) numbers.push((await bill({ number })).body.number)
    return numbers
  }
  return { ...shop, bill, numbered }
}

test('a new invoice is shown as it was created', async () => {
  const { call, bill } = await testBiller()
  const made = await bill({ currency: 'inr' })
  expect([made.status, made.body]).toStrictEqual([201, shown])
  const found = await call('GET', `${path}/${made.body.id}`)
  expect([found.status, found.body]).toStrictEqual([200, made.body])
})

test('an invoice gets the given number, or the number after the highest one', async () => {
  const { numbered } = await testBiller()
  expect(await numbered(undefined, undefined, 17, undefined, 5, undefined)).toEqual([
    1, 2, 17, 18, 5, 19,
  ])
  const stranger = await testBiller()
  expect(await stranger.numbered(undefined, 17)).toEqual([1, 17])
})

test('a second invoice with a number that is taken is refused with 409', async () => {
  const { bill } = await testBiller()
  await bill({ number: 17 })
  const before = await contents(db)
  for (const change of [{}, { amount: 1 }, { currency: 'USD' }])
    expectRefusal(await bill({ number: 17, ...change }), 409, 'number_taken', 'number')
  expect(await contents(db)).toEqual(before)
})

test('a number must be given once the highest possible number is taken', async () => {
  const { bill } = await testBiller()
  expect((await bill({ number: HIGHEST })).body.number).toBe(HIGHEST)
  const before = await contents(db)
  expectRefusal(await bill(), 409, 'number_taken', 'number')
  expect(await contents(db)).toEqual(before)
  expect((await bill({ number: HIGHEST - 1 })).status).toBe(201)
})

test.each([0, -1, 1.5, HIGHEST + 1, '17', null, true, [17]])(
  'an invoice with the number %p is refused with 400',
  async (number) => {
    const { bill } = await testBiller()
    const before = await contents(db)
    expectRefusal(await bill({ number }), 400, 'invalid_request', 'number')
    expect(await contents(db)).toEqual(before)
  },
)

test('fifty invoices that are posted at once get the numbers from 1 to 50', async () => {
  const { bill } = await testBiller()
  const answers = await Promise.all(Array.from({ length: 50 }, () => bill()))
  expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(201))
  const numbers = answers.map(({ body }) => body.number as number).sort((a, b) => a - b)
  expect(numbers).toEqual(Array.from({ length: 50 }, (_, n) => n + 1))
})

test('fifty invoices at once, with and without given numbers, get distinct numbers', async () => {
  const { bill, merchant } = await testBiller()
  const asked = Array.from({ length: 50 }, (_, n) => (n % 2 === 0 ? {} : { number: (n % 20) + 1 }))
  const answers = await Promise.all(asked.map((change) => bill(change)))
  for (const answer of answers.filter(({ status }) => status !== 201))
    expectRefusal(answer, 409, 'number_taken', 'number')
  for (const [n, { status }] of answers.entries()) if (n % 2 === 0) expect(status).toBe(201)
  const made = answers.filter(({ status }) => status === 201)
  expect(new Set(made.map(({ body }) => body.number)).size).toBe(made.length)
  expect(await db.$count(invoices, eq(invoices.merchantId, merchant.id))).toBe(made.length)
})

test('an invoice records invoice.created and sends it to endpoints that list it', async () => {
  const { call, started, merchant, bill } = await testBiller()
  await bill()
  expect(started).toEqual([])
  const hook = { url: 'https://shop.example/hooks', event_types: ['invoice.created'] }
  const { body: target } = await call('POST', '/api/v1/webhook_endpoints', hook)
  const { body } = await bill()
  const [event] = await db.select().from(events).where(eq(events.resourceId, body.id))
  expect(JSON.parse(event?.body ?? '')).toStrictEqual({
    id: event?.id,
    type: 'invoice.created',
    created_at: body.created_at,
    data: { object: body },
  })
  const made = await db.select().from(deliveries).where(eq(deliveries.merchantId, merchant.id))
  expect(made.map(({ eventId }) => eventId)).toEqual([event?.id])
  expect(started).toMatchObject([{ workflowType: 'publishEvent', workflowId: event?.id }])
  const delivery = {
    id: made[0]?.id,
    merchantId: merchant.id,
    endpointId: target.id,
    eventType: 'invoice.created',
    host: 'shop.example',
  }
  expect(started[0]?.args).toStrictEqual([[delivery]])
})

test('an invoice is created once per Idempotency-Key, even by ten requests at once', async () => {
  const { call, bill } = await testBiller()
  const key = { 'idempotency-key': 'bill-17' }
  const first = await bill({}, key)
  const again = await bill({}, key)
  expect([again.status, again.body]).toStrictEqual([201, first.body])
  expect(again.headers.get('idempotent-replayed')).toBe('true')
  expectRefusal(await bill({ number: 17 }, key), 422, 'idempotency_key_reused', 'Idempotency-Key')

  const second = { 'idempotency-key': 'bill-18' }
  const answers = await Promise.all(Array.from({ length: 10 }, () => bill({}, second)))
  const made = answers.filter(({ status }) => status === 201)
  expect(new Set(made.map(({ body }) => body.number))).toEqual(new Set([2]))
  for (const answer of answers.filter(({ status }) => status !== 201))
    expectRefusal(answer, 409, 'idempotency_key_in_use', 'Idempotency-Key')
  expect((await call('GET', path)).body.data).toHaveLength(2)
})

describe('The list of invoices', () => {
  test('the list of invoices is filtered by status and by number', async () => {
    const { call, bill } = await testBiller()
    const ids: string[] = []
    for (const number of [7, 8, 9]) ids.push((await bill({ number, amount: 100 })).body.id)
    const pay = (invoice_id: string | undefined, amount: number) =>
      call('POST', '/webhooks-sync/payments', { event_id: `${invoice_id}`, invoice_id, amount })
    await pay(ids[1], 40)
    await pay(ids[2], 100)
    const listed = async (query: string) =>
      (await call('GET', `${path}?${query}`)).body.data.map(({ id }: { id: string }) => id)
    expect(await listed('status=sent')).toEqual([ids[0]])
    expect(await listed('status=partially_paid')).toEqual([ids[1]])
    expect(await listed('status=paid')).toEqual([ids[2]])
    expect(await listed('number=8')).toEqual([ids[1]])
    expect(await listed('number=8&status=paid')).toEqual([])
    expect(await listed('number=999999999999')).toEqual([])
    expect(await listed('limit=2')).toEqual([ids[2], ids[1]])
  })

  test.each(['0', '-1', '1.5', '017', 'x', '', '1e3', '1000000000000'])(
    'the list of invoices refuses the number %p with 400',
    async (number) => {
      const { call } = await testBiller()
      const answer = await call('GET', `${path}?number=${number}`)
      expectRefusal(answer, 400, 'invalid_request', 'number')
    },
  )
})
