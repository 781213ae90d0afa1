import { eq } from 'drizzle-orm'
import { closeLink } from '../../db/payment-links/steps.ts'
import { paymentLinks } from '../../db/payments/schema.ts'
import { commands } from '../../db/requests/schema.ts'
import { deliveries, events } from '../../db/webhooks/schema.ts'
import { testDb } from '../support/db.ts'
import { contents, expectRefusal, fail, succeed, testShop } from '../support/http.ts'
import { pause } from '../support/stack.ts'

const db = testDb()
const path = '/api/v1/payment_links'
const link = { amount: 50_000, currency: 'INR' }
const source = { method: 'upi', vpa: 'asha.rao@upi' }
const DAY_MS = 24 * 60 * 60_000
const timeAhead = (ms: number) => new Date(Date.now() + ms).toISOString()
const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const shown = {
  id: expect.stringMatching(/^plink_[0-7][0-9a-hjkmnp-tv-z]{25}$/),
  object: 'payment_link',
  status: 'active',
  ...link,
  url: expect.any(String),
  description: null,
  expires_at: null,
  payment_id: null,
  metadata: {},
  created_at: timestamp,
  updated_at: timestamp,
}

/** Opens a shop with a link. `pay` begins to pay the link, and `cancel` asks to cancel the link. */
async function shopWithLink(change: object = {}) {
  const shop = await testShop(db)
  const { body: made } = await shop.call('POST', path, { ...link, ...change })
  const pay = async () => (await shop.call('POST', `/pay/${made.id}`, source)).body.id as string
  const cancel = (key?: string) =>
    shop.call('POST', `${path}/${made.id}/cancel`, {}, key ? { 'idempotency-key': key } : {})
  const show = async () => (await shop.call('GET', `${path}/${made.id}`)).body
  const asked = async () => {
    const rows = await db.select().from(commands).where(eq(commands.resourceId, made.id))
    return rows.map(({ kind, status }) => `${kind} ${status}`)
  }
  return { ...shop, made, id: made.id as string, pay, cancel, show, asked }
}

test('a link is created with 201 and read back unchanged', async () => {
  const { call } = await testShop(db)
  const expires_at = timeAhead(30 * DAY_MS)
  const given = { description: 'Two cups', expires_at, metadata: { table: '4' } }
  const made = await call('POST', path, { ...link, ...given, currency: 'inr' })
  expect(made.status).toBe(201)
  const url = `https://pay.example/pay/${made.body.id}`
  expect(made.body).toStrictEqual({ ...shown, ...given, url })
  const found = await call('GET', `${path}/${made.body.id}`)
  expect([found.status, found.body]).toStrictEqual([200, made.body])
  expect((await call('POST', path, link)).body).toStrictEqual(shown)
})

test('a new link emits payment_link.created, and its workflow starts with the deliveries', async () => {
  const { call, started, merchant } = await testShop(db)
  const endpoint = { url: 'https://shop.example/hooks', event_types: ['payment_link.created'] }
  await call('POST', '/api/v1/webhook_endpoints', endpoint)
  const { body } = await call('POST', path, link)
  const [event] = await db.select().from(events).where(eq(events.resourceId, body.id))
  expect(JSON.parse(event?.body ?? '')).toStrictEqual({
    id: event?.id,
    type: 'payment_link.created',
    created_at: body.created_at,
    data: { object: body },
  })
  const sent = await db
    .select()
    .from(deliveries)
    .where(eq(deliveries.eventId, event?.id ?? ''))
  expect(started).toMatchObject([
    {
      workflowType: 'paymentLinkLifecycle',
      workflowId: body.id,
      taskQueue: 'payments',
      staticSummary: '₹500.00 payment link',
      staticDetails: `Merchant \`${merchant.id}\``,
      args: [body.id, [{ id: sent[0]?.id, eventType: 'payment_link.created' }]],
    },
  ])
  const [row] = await db.select().from(paymentLinks).where(eq(paymentLinks.id, body.id))
  expect((row?.nextSweepAt?.getTime() ?? 0) - Date.parse(body.created_at)).toBe(30_000)
})

test.each<[string, object, string]>([
  ['no amount', { amount: undefined }, 'amount'],
  ['nothing to pay', { amount: 0 }, 'amount'],
  ['no currency', { currency: undefined }, 'currency'],
  ['a URL of their own', { url: 'https://shop.example' }, 'url'],
  ['a method', { method: 'upi' }, 'method'],
  ['an empty description', { description: '' }, 'description'],
  ['a description of 501', { description: 'x'.repeat(501) }, 'description'],
  ['a metadata number', { metadata: { cart: 17 } }, 'metadata.cart'],
  ['an end that has passed', { expires_at: timeAhead(-1_000) }, 'expires_at'],
  ['an end in six years', { expires_at: timeAhead(6 * 365 * DAY_MS) }, 'expires_at'],
  ['an end that is no time', { expires_at: 'tomorrow' }, 'expires_at'],
  ['an end of null', { expires_at: null }, 'expires_at'],
])('a link with %s is refused with 400', async (_, change, param) => {
  const { call } = await testShop(db)
  const before = await contents(db)
  expectRefusal(await call('POST', path, { ...link, ...change }), 400, 'invalid_request', param)
  expect(await contents(db)).toEqual(before)
})

test('a repeated key creates one link, even if the repeat comes after the link has expired', async () => {
  const { call, merchant } = await testShop(db)
  const soon = { ...link, expires_at: timeAhead(500) }
  const ask = () => call('POST', path, soon, { 'idempotency-key': 'once' })
  const answers = await Promise.all(Array.from({ length: 10 }, ask))
  await pause(Date.parse(soon.expires_at) - Date.now() + 50)
  expectRefusal(await call('POST', path, soon), 400, 'invalid_request', 'expires_at')
  const again = await ask()
  expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([201, 'true'])
  for (const answer of answers)
    if (answer.status === 201) expect(answer.body).toStrictEqual(again.body)
    else expectRefusal(answer, 409, 'idempotency_key_in_use', 'Idempotency-Key')
  expect(await db.$count(paymentLinks, eq(paymentLinks.merchantId, merchant.id))).toBe(1)
})

test('a link stays active after a failed payment, and is paid by the payment that succeeds', async () => {
  const { call, made, id, pay, show } = await shopWithLink()
  await call('POST', '/api/v1/webhook_endpoints', { url: 'https://shop.example/hooks' })
  await fail(db, await pay())
  expect(await show()).toStrictEqual(made)
  const payment = await pay()
  expect(await show()).toStrictEqual(made)
  const { deliveries: sent, payable } = await succeed(db, payment)
  expect(sent.map(({ eventType }) => eventType)).toEqual(['payment.succeeded', 'payment_link.paid'])
  expect(payable).toEqual({ id, isPaid: true })
  expect(await succeed(db, payment)).toEqual(expect.objectContaining({ deliveries: sent, payable }))
  const paid = await show()
  const change = { status: 'paid', payment_id: payment, updated_at: paid.updated_at }
  expect(paid).toStrictEqual({ ...made, ...change })
  expect(paid.updated_at > made.updated_at).toBe(true)
  const told = (await call('GET', '/api/v1/events?type=payment_link.paid')).body.data
  expect(told).toHaveLength(1)
  expect(told[0].data.object).toStrictEqual(paid)
})

describe('canceling a payment link', () => {
  test('a cancel is accepted with 202, stored for the sweep, and done when the link is closed', async () => {
    const { id, made, cancel, show, asked } = await shopWithLink()
    const accepted = await cancel('c')
    expect([accepted.status, accepted.body]).toStrictEqual([202, made])
    const [command] = await db.select().from(commands).where(eq(commands.resourceId, id))
    expect(command).toMatchObject({ kind: 'close', amount: null, nextSweepAt: expect.any(Date) })
    expect((await cancel('c')).status).toBe(202) // attaches to the first
    expectRefusal(await cancel('other'), 409, 'conflict', null)
    await closeLink(db, id, 'canceled', new Date())
    const done = await cancel('c')
    expect([done.status, done.body.status]).toEqual([200, 'canceled'])
    expect(done.body).toStrictEqual(await show())
    expect(done.headers.get('idempotent-replayed')).toBeNull()
    const replayed = await cancel('c')
    expect([replayed.status, replayed.body]).toStrictEqual([200, done.body])
    expect(replayed.headers.get('idempotent-replayed')).toBe('true')
    expect(await asked()).toEqual(['close done'])
  })

  test('a cancel is refused with 409 if a payment succeeds first', async () => {
    const { pay, cancel, asked } = await shopWithLink()
    const payment = await pay()
    expect((await cancel('late')).status).toBe(202)
    await succeed(db, payment)
    const late = await cancel('late')
    expectRefusal(late, 409, 'conflict', null)
    expect(late.body.error.message).toContain('paid')
    expect(await asked()).toEqual(['close refused'])
  })

  test('a cancel stored before the link expired wins, even if its update was lost', async () => {
    const { id, cancel, asked } = await shopWithLink()
    expect((await cancel('late')).status).toBe(202)
    expect((await closeLink(db, id, 'expired', new Date())).status).toBe('canceled')
    const late = await cancel('late')
    expect([late.status, late.body.status]).toEqual([200, 'canceled'])
    expect(await asked()).toEqual(['close done'])
  })

  test.each(['paid', 'expired', 'canceled'] as const)(
    'a cancel of a link with status %s is refused with 409',
    async (status) => {
      const { id, pay, cancel } = await shopWithLink()
      if (status === 'paid') await succeed(db, await pay())
      else await closeLink(db, id, status, new Date())
      const before = await contents(db)
      const refused = await cancel('x')
      expectRefusal(refused, 409, 'conflict', null)
      expect(refused.body.error.message).toContain(status)
      expect(await contents(db)).toEqual(before)
    },
  )

  test('a cancel with a body field is refused with 400, and one of an unknown link with 404', async () => {
    const { call, id } = await shopWithLink()
    const before = await contents(db)
    const asked = await call('POST', `${path}/${id}/cancel`, { reason: 'x' })
    expectRefusal(asked, 400, 'invalid_request', 'reason')
    expectRefusal(await call('POST', `${path}/plink_404/cancel`), 404, 'not_found', null)
    expectRefusal(await call('GET', `${path}/plink_404`), 404, 'not_found', null)
    expect(await contents(db)).toEqual(before)
  })

  test('one of twenty cancels at the same moment is accepted', async () => {
    const { cancel, asked } = await shopWithLink()
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => cancel(`${n}`)))
    const refused = answers.filter(({ status }) => status !== 202)
    expect(refused).toHaveLength(19)
    for (const answer of refused) expectRefusal(answer, 409, 'conflict', null)
    expect(await asked()).toEqual(['close open'])
  })
})
