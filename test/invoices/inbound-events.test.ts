import { eq } from 'drizzle-orm'
import { firstSweepAt } from '../../core/lifecycles/sweep.ts'
import { newId } from '../../db/ids.ts'
import { deliveries, events } from '../../db/webhooks/schema.ts'
import { callAs } from '../support/app.ts'
import { testDb } from '../support/db.ts'
import { contents, expectRefusal } from '../support/http.ts'
import { bothRoutes, routes, testBilling } from './billing.ts'

const db = testDb()
const url = 'https://shop.example/hooks'
const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const ours = expect.stringMatching(/^ie_[0-7][0-9a-hjkmnp-tv-z]{25}$/)

test('the synchronous route applies an event before it answers, and emits a webhook', async () => {
  const { call, bill, tell, told, started, inboxOf } = await testBilling(db)
  const { id } = await bill(50_000, 17)
  await call('POST', '/api/v1/webhook_endpoints', { url })
  const { status, body } = await tell('sync', 'bank-1', id, 20_000)
  const { body: invoice } = await call('GET', `/api/v1/invoices/${id}`)
  expect(status).toBe(200)
  expect(body).toStrictEqual({
    id: ours,
    object: 'inbound_event',
    event_id: 'bank-1',
    invoice_id: id,
    amount: 20_000,
    status: 'applied',
    duplicate: false,
    created_at: timestamp,
    applied_at: timestamp,
    invoice,
  })
  expect(invoice).toMatchObject({ number: 17, status: 'partially_paid', amount_paid: 20_000 })
  expect(await told(id)).toEqual(['invoice.partially_paid'])
  const [row] = await inboxOf()
  const [event] = await db
    .select()
    .from(events)
    .where(eq(events.id, row?.toldBy ?? ''))
  expect(row).toMatchObject({ id: body.id, status: 'applied', nextSweepAt: null })
  expect(JSON.parse(event?.body ?? '')).toMatchObject({ data: { object: invoice } })
  expect(started).toMatchObject([{ workflowType: 'publishEvent', workflowId: event?.id }])
  const sent = await db
    .select()
    .from(deliveries)
    .where(eq(deliveries.eventId, event?.id ?? ''))
  expect(started[0]?.args).toMatchObject([[{ id: sent[0]?.id, eventType: event?.type }]])
})

test('the asynchronous route stores an event for its workflow', async () => {
  const { call, merchant, bill, tell, told, started, inboxOf } = await testBilling(db)
  const { id, number } = await bill()
  await call('POST', '/api/v1/webhook_endpoints', { url })
  const { status, body } = await tell('async', 'bank-1', number, 20_000)
  const { body: invoice } = await call('GET', `/api/v1/invoices/${id}`)
  expect([status, body]).toStrictEqual([
    202,
    {
      id: ours,
      object: 'inbound_event',
      event_id: 'bank-1',
      invoice_id: id,
      amount: 20_000,
      status: 'pending',
      duplicate: false,
      created_at: timestamp,
      applied_at: null,
      invoice,
    },
  ])
  expect(invoice).toMatchObject({ status: 'sent', amount_paid: 0 })
  expect(await told(id)).toEqual([])
  expect(started).toMatchObject([
    { workflowType: 'applyInboundEvent', workflowId: body.id, args: [body.id] },
  ])
  const [row] = await inboxOf()
  const createdAt = new Date(body.created_at)
  const nextSweepAt = firstSweepAt('lifecycle', createdAt)
  expect(row).toMatchObject({ merchantId: merchant.id, status: 'pending', createdAt, nextSweepAt })
})

test('payments add up until the invoice is paid, and the excess is shown as overpaid', async () => {
  const { bill, tell, invoice, told, started, call } = await testBilling(db)
  const { id, number } = await bill(100)
  await call('POST', '/api/v1/webhook_endpoints', { url })
  const after = async (event: string, amount: number) => {
    await tell('sync', event, event === 'b' ? number : id, amount)
    const { status, amount_paid, amount_overpaid } = await invoice(id)
    return [status, amount_paid, amount_overpaid]
  }
  expect(await after('a', 40)).toEqual(['partially_paid', 40, 0])
  expect(await after('b', 59)).toEqual(['partially_paid', 99, 0])
  expect(await after('c', 11)).toEqual(['paid', 110, 10])
  expect(await told(id)).toEqual([
    'invoice.partially_paid',
    'invoice.partially_paid',
    'invoice.paid',
  ])
  const starts = started.length
  expect(await after('d', 1_000)).toEqual(['paid', 1_110, 1_010])
  expect(await told(id)).toHaveLength(3)
  expect(started).toHaveLength(starts)
})

test('a payment of the full amount emits only invoice.paid', async () => {
  const { bill, tell, told, invoice } = await testBilling(db)
  const { id } = await bill(100)
  await tell('sync', 'a', id, 100)
  expect(await told(id)).toEqual(['invoice.paid'])
  expect(await invoice(id)).toEqual({ status: 'paid', amount_paid: 100, amount_overpaid: 0 })
})

test('no workflow is started if the merchant has no endpoint', async () => {
  const { bill, tell, told, started } = await testBilling(db)
  const { id } = await bill(100)
  await tell('sync', 'a', id, 100)
  expect([await told(id), started]).toEqual([['invoice.paid'], []])
})

describe.each(bothRoutes)('The %s route', (route) => {
  test('a repeat changes nothing, whether it names the invoice by id or number', async () => {
    const { call, bill, tell, started } = await testBilling(db)
    await call('POST', '/api/v1/webhook_endpoints', { url })
    const { id, number } = await bill()
    const first = await tell('sync', 'bank-1', id, 20_000)
    await tell('sync', 'bank-2', id, 10_000) // the answer shows the invoice as it is now
    const { body: invoice } = await call('GET', `/api/v1/invoices/${id}`)
    const [before, starts] = [await contents(db), started.length]
    for (const name of [id, number]) {
      const again = await tell(route, 'bank-1', name, 20_000)
      const expected = { ...first.body, duplicate: true, invoice }
      expect([again.status, again.body]).toStrictEqual([200, expected])
    }
    expect(await contents(db)).toEqual(before)
    expect(started).toHaveLength(starts)
  })

  test.each(bothRoutes)(
    'an event_id first used on the %s route is refused for another amount or invoice',
    async (earlier) => {
      const { bill, tell, started } = await testBilling(db)
      const [{ id }, other] = [await bill(), await bill()]
      await tell(earlier, 'bank-1', id, 20_000)
      const [before, starts] = [await contents(db), started.length]
      for (const answer of [
        await tell(route, 'bank-1', id, 20_001),
        await tell(route, 'bank-1', other.id, 20_000),
        await tell(route, 'bank-1', other.number, 20_000),
      ])
        expectRefusal(answer, 409, 'event_id_reused', 'event_id')
      expect(await contents(db)).toEqual(before)
      expect(started).toHaveLength(starts)
    },
  )

  const good = { event_id: 'bank-1', invoice_id: 1, amount: 20_000 }
  const without = (field: string) => ({ ...good, [field]: undefined })
  test.each<[name: string, body: unknown, param: string | null, status?: number]>([
    ['no body', undefined, 'event_id'],
    ['a list', [good], null],
    ['half a body', '{"event_id":', null],
    ['no event id', without('event_id'), 'event_id'],
    ['an event id of no characters', { ...good, event_id: '' }, 'event_id'],
    ['an event id of 256', { ...good, event_id: 'x'.repeat(256) }, 'event_id'],
    ['an event id as a number', { ...good, event_id: 1 }, 'event_id'],
    ['NUL in the event id', { ...good, event_id: 'a\0' }, 'event_id'],
    ['no invoice', without('invoice_id'), 'invoice_id'],
    ['an invoice of null', { ...good, invoice_id: null }, 'invoice_id'],
    ['an invoice of true', { ...good, invoice_id: true }, 'invoice_id'],
    ['an invoice as a list', { ...good, invoice_id: [1] }, 'invoice_id'],
    ['an invoice without a name', { ...good, invoice_id: '' }, 'invoice_id'],
    ['the invoice 0', { ...good, invoice_id: 0 }, 'invoice_id'],
    ['the invoice -1', { ...good, invoice_id: -1 }, 'invoice_id'],
    ['the invoice 1.5', { ...good, invoice_id: 1.5 }, 'invoice_id'],
    [
      'an invoice beyond 2^53',
      '{"event_id":"a","invoice_id":9007199254740993,"amount":1}',
      'invoice_id',
    ],
    ['an unknown number', { ...good, invoice_id: 2 }, 'invoice_id', 404],
    ['the highest number', { ...good, invoice_id: Number.MAX_SAFE_INTEGER }, 'invoice_id', 404],
    ['a number as text', { ...good, invoice_id: '1' }, 'invoice_id'],
    ['an unknown id', { ...good, invoice_id: newId('invoice') }, 'invoice_id', 404],
    ['no amount', without('amount'), 'amount'],
    ['an amount of zero', { ...good, amount: 0 }, 'amount'],
    ['a negative amount', { ...good, amount: -20_000 }, 'amount'],
    ['a fraction of a paisa', { ...good, amount: 0.5 }, 'amount'],
    ['an amount as text', { ...good, amount: '20000' }, 'amount'],
    ['an amount above the limit', { ...good, amount: 1_000_000_000_000 }, 'amount'],
    ['an unknown field', { ...good, currency: 'INR' }, 'currency'],
  ])('%s is refused, and nothing is stored', async (_, body, param, status = 400) => {
    const { bill, send, started } = await testBilling(db)
    await bill()
    const before = await contents(db)
    const answer = await send(route, body)
    expectRefusal(answer, status, status === 404 ? 'not_found' : 'invalid_request', param)
    expect(await contents(db)).toEqual(before)
    expect(started).toEqual([])
  })

  test("another merchant's invoice is refused with 404, like an unknown invoice", async () => {
    const [{ tell }, other] = [await testBilling(db), await testBilling(db)]
    const { id, number } = await other.bill()
    const before = await contents(db)
    for (const name of [id, number])
      expectRefusal(await tell(route, 'bank-1', name, 1), 404, 'not_found', 'invoice_id')
    expect(await contents(db)).toEqual(before)
  })

  test('two merchants can send events with the same event_id', async () => {
    for (const _ of [1, 2]) {
      const { bill, tell } = await testBilling(db)
      const { id } = await bill()
      expect((await tell(route, 'bank-1', id, 20_000)).body.duplicate).toBe(false)
    }
  })

  test('a request with only the publishable key is refused with 403', async () => {
    const { app, merchant, bill } = await testBilling(db)
    await bill()
    const before = await contents(db)
    const headers = { 'x-api-key': merchant.key }
    const answer = await callAs(app, null)('POST', routes[route], good, headers)
    expectRefusal(answer, 403, 'secret_key_required', 'X-Api-Secret')
    expect(await contents(db)).toEqual(before)
  })

  test('the route accepts only POST, and counts for the rate limit of its key', async () => {
    const { call } = await testBilling(db, { rateLimitPerSecond: 1 })
    const other = await call('GET', routes[route])
    expectRefusal(other, 405, 'method_not_allowed')
    expect(other.headers.get('allow')).toBe('POST')
    await call('GET', '/api/v1/invoices')
    expectRefusal(await call('POST', routes[route], good), 429, 'rate_limited')
  })
})
