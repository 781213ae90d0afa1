import { and, eq } from 'drizzle-orm'
import type { DeliveryStatus } from '../../core/webhooks/delivery.ts'
import { takeStranded } from '../../db/recovery/sweep.ts'
import { findEventDeliveries } from '../../db/webhooks/events.ts'
import { deliveries } from '../../db/webhooks/schema.ts'
import { callAs, testApp } from '../support/app.ts'
import { testDb } from '../support/db.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { contents, expectRefusal, testShop } from '../support/http.ts'
import { testActivities } from '../support/stack.ts'
import { timeSkippingEnv } from '../support/temporal.ts'

const db = testDb()
const temporal = timeSkippingEnv()
const endpoint = testEndpoint()
const root = '/api/v1/webhook_deliveries'

/** Sets up a shop with one delivery, for its event order.created, in this status. */
async function shopWithDelivery(status: DeliveryStatus = 'failed') {
  const shop = await testShop(db)
  const hook = { url: endpoint.url, event_types: ['order.created'] }
  const target = (await shop.call('POST', '/api/v1/webhook_endpoints', hook)).body
  const order = (await shop.call('POST', '/api/v1/orders', { amount: 1, currency: 'INR' })).body
  const list = async () => (await shop.call('GET', root)).body.data
  const [{ id }] = await list()
  await db.update(deliveries).set({ status, nextSweepAt: null }).where(eq(deliveries.id, id))
  const sent = (await shop.call('GET', `${root}/${id}`)).body
  const resend = (key?: string) =>
    shop.call('POST', `${root}/${id}/resend`, undefined, key ? { 'idempotency-key': key } : {})
  shop.started.length = 0
  return { ...shop, order, target, sent, list, resend }
}

test.each(['delivered', 'failed', 'skipped'] as const)(
  'resending a %s delivery creates a new delivery',
  async (status) => {
    const { call, list, resend, sent, started } = await shopWithDelivery(status)
    const made = await resend()
    expect(made.status).toBe(201)
    const { attempts: _, ...shown } = sent
    expect(made.body).toStrictEqual({
      ...shown,
      id: expect.stringMatching(/^whd_[0-7][0-9a-hjkmnp-tv-z]{25}$/),
      status: 'pending',
      resend_of: sent.id,
      created_at: made.body.created_at,
      updated_at: made.body.created_at,
    })
    expect(made.body.id).not.toBe(sent.id)
    expect(sent.resend_of).toBeNull()
    expect((await call('GET', `${root}/${made.body.id}`)).body).toMatchObject(made.body)
    expect(await list()).toEqual([made.body, shown])
    expect(started).toMatchObject([
      { workflowType: 'deliverWebhook', workflowId: made.body.id, args: [{ id: made.body.id }] },
    ])
  },
)

test('resending a pending delivery is refused with 409', async () => {
  const { resend } = await shopWithDelivery('pending')
  const before = await contents(db)
  expectRefusal(await resend(), 409, 'conflict', null)
  expect(await contents(db)).toEqual(before)
})

test.each(['disabled', 'deleted'])('resending to a %s endpoint is refused', async (state) => {
  const { call, resend, target } = await shopWithDelivery()
  const path = `/api/v1/webhook_endpoints/${target.id}`
  await (state === 'deleted' ? call('DELETE', path) : call('POST', `${path}/disable`))
  const before = await contents(db)
  const refused = await resend()
  expectRefusal(refused, 409, 'conflict', null)
  expect(refused.body.error.message).toContain(state)
  expect(await contents(db)).toEqual(before)
})

test('a repeated resend with the same key sends nothing more, and one without does', async () => {
  const { list, resend, started } = await shopWithDelivery()
  const first = await resend('a')
  const again = await resend('a')
  expect([again.headers.get('idempotent-replayed'), again.body]).toEqual(['true', first.body])
  expect([(await list()).length, started.length]).toEqual([2, 1])
  expect((await resend()).body.id).not.toBe(first.body.id)
  expect([(await list()).length, started.length]).toEqual([3, 2])
})

test('a resend can be resent, and resend_of names the resend', async () => {
  const { call, resend } = await shopWithDelivery()
  const { body: second } = await resend()
  await db.update(deliveries).set({ status: 'failed' }).where(eq(deliveries.id, second.id))
  const { body: third } = await call('POST', `${root}/${second.id}/resend`)
  expect([third.resend_of, third.event_id]).toEqual([second.id, second.event_id])
})

test('a resend that never started is swept, and is not listed with its event', async () => {
  const { resend, order, sent } = await shopWithDelivery()
  const { body: made } = await resend()
  const swept = await takeStranded(db, new Date(Date.now() + 121_000), 100)
  expect(swept.deliveries.map(({ id }) => id)).toContain(made.id)
  const found = await findEventDeliveries(db, 'order.created', order.id)
  expect(found?.map(({ id }) => id)).toEqual([sent.id])
})

test('a resend arrives with the original webhook-id and the same bytes', async () => {
  const { merchant, order, sent } = await shopWithDelivery()
  const { app } = testApp(db, { temporal: temporal.client() })
  const result = (id: string) => temporal.client().workflow.getHandle(id).result()
  await temporal.withActivities(testActivities(db), async () => {
    const call = callAs(app, merchant)
    for (const _ of [1, 2]) {
      const { body } = await call('POST', `${root}/${sent.id}/resend`)
      await result(body.id)
      const delivered = (await call('GET', `${root}/${body.id}`)).body
      expect(delivered).toMatchObject({ status: 'delivered', attempts: [{ attempt: 1 }] })
    }
  })
  const [one, two] = endpoint.requests
  expect(JSON.parse(one?.body ?? '').data.object.id).toBe(order.id)
  expect([one?.body, one?.headers['webhook-id']]).toEqual([two?.body, sent.event_id])
  expect(two?.headers['webhook-id']).toBe(sent.event_id)
  const asked = and(eq(deliveries.id, sent.id), eq(deliveries.status, 'failed'))
  expect(await db.$count(deliveries, asked)).toBe(1)
})
