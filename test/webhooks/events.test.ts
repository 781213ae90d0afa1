import { eq } from 'drizzle-orm'
import { events } from '../../db/webhooks/schema.ts'
import { testDb } from '../support/db.ts'
import { fail, succeed, testShop, upi } from '../support/http.ts'

const db = testDb()

async function shopWithPayment() {
  const shop = await testShop(db)
  const { body: payment } = await shop.call('POST', '/api/v1/payments', upi)
  const list = async (query = '') => (await shop.call('GET', `/api/v1/events${query}`)).body.data
  return { ...shop, payment, list }
}

test('the API shows an event with the exact body that is sent', async () => {
  const { call, payment, list } = await shopWithPayment()
  const [row] = await db.select().from(events).where(eq(events.resourceId, payment.id))
  const found = await call('GET', `/api/v1/events/${row?.id}`)
  expect(found.status).toBe(200)
  const { object, ...body } = found.body
  expect(object).toBe('event')
  expect(JSON.stringify(body)).toBe(row?.body)
  expect(body).toStrictEqual({
    id: expect.stringMatching(/^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$/),
    type: 'payment.created',
    created_at: payment.created_at,
    data: { object: payment },
  })
  expect(await list()).toStrictEqual([found.body])
})

test('an event keeps the state that its resource had at that moment', async () => {
  const { call, payment, list } = await shopWithPayment()
  await succeed(db, payment.id)
  const [succeeded, created] = await list()
  expect([succeeded.type, created.type]).toEqual(['payment.succeeded', 'payment.created'])
  expect(created.data.object).toStrictEqual(payment)
  const now = (await call('GET', `/api/v1/payments/${payment.id}`)).body
  expect(succeeded.data.object).toStrictEqual(now)
  expect([now.status, now.amount_captured]).toEqual(['succeeded', 50_000])
})

test('a payment.failed event holds the failure code and message', async () => {
  const { payment, list } = await shopWithPayment()
  await fail(db, payment.id)
  const [event] = await list('?type=payment.failed')
  expect(event.data.object).toMatchObject({
    id: payment.id,
    status: 'failed',
    failure_code: 'upi_declined',
    failure_message: 'The payer declined the UPI request.',
  })
})

test('text in any script comes back unchanged from an event', async () => {
  const { call, list } = await shopWithPayment()
  const description = 'চা ☕ "two" \\ </script> 👩‍👩‍👧 \u2028\u0001 é'
  const { body } = await call('POST', '/api/v1/payments', { ...upi, description })
  expect(body.description).toBe(description)
  expect((await list())[0].data.object.description).toBe(description)
  const [row] = await db.select().from(events).where(eq(events.resourceId, body.id))
  expect(JSON.stringify(JSON.parse(row?.body ?? ''))).toBe(row?.body)
})

test('no event holds a UPI address in full', async () => {
  const { payment, list } = await shopWithPayment()
  await succeed(db, payment.id)
  expect(JSON.stringify(await list())).not.toContain('asha.rao@upi')
  expect((await list())[0].data.object.vpa).toBe('as***@upi')
})
