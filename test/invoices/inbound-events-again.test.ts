import { eq } from 'drizzle-orm'
import { newId } from '../../db/ids.ts'
import { applyInboundEvent } from '../../db/invoices/inbound-events.ts'
import { inboundEvents } from '../../db/invoices/schema.ts'
import { deliveries, events } from '../../db/webhooks/schema.ts'
import { testDb } from '../support/db.ts'
import { contents } from '../support/http.ts'
import { testBilling } from './billing.ts'

const db = testDb()
const url = 'https://shop.example/hooks'
const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)

test('a repeat on the asynchronous route says whether the event is still pending', async () => {
  const { bill, tell, invoice, started } = await testBilling(db)
  const { id } = await bill()
  const { body: kept } = await tell('async', 'bank-1', id, 20_000)
  const again = await tell('async', 'bank-1', id, 20_000)
  expect([again.status, again.body]).toStrictEqual([200, { ...kept, duplicate: true }])
  expect(started).toHaveLength(1)
  await applyInboundEvent(db, kept.id, new Date())
  const { body } = await tell('async', 'bank-1', id, 20_000)
  expect(body).toMatchObject({ id: kept.id, status: 'applied', applied_at: timestamp })
  expect(body.invoice).toMatchObject({ status: 'partially_paid', amount_paid: 20_000 })
  expect((await invoice(id)).amount_paid).toBe(20_000)
})

test('the synchronous route applies a pending event before its workflow does', async () => {
  const { call, bill, tell, invoice, told, started, inboxOf } = await testBilling(db)
  await call('POST', '/api/v1/webhook_endpoints', { url })
  const { id, number } = await bill(100)
  const { body: kept } = await tell('async', 'bank-1', id, 100)
  started.length = 0
  const { status, body } = await tell('sync', 'bank-1', number, 100)
  expect([status, body]).toMatchObject([200, { ...kept, ...applied(body), duplicate: true }])
  expect(body.invoice).toMatchObject({ status: 'paid', amount_paid: 100 })
  expect(started).toMatchObject([{ workflowType: 'publishEvent' }])

  const before = await contents(db)
  const [row] = await inboxOf()
  expect(row).toMatchObject({ status: 'applied', nextSweepAt: null })
  const recorded = await applyInboundEvent(db, kept.id, new Date())
  expect(recorded.status).toBe('applied')
  expect([recorded.deliveries]).toEqual(started[0]?.args)
  expect(await contents(db)).toEqual(before)
  expect(await told(id)).toEqual(['invoice.paid'])
  expect(await invoice(id)).toMatchObject({ status: 'paid', amount_paid: 100 })
})

/** Returns the fields of an event that change when the event is applied. */
function applied({ invoice }: { invoice: object }) {
  return { status: 'applied', applied_at: timestamp, invoice }
}

describe('Applying an inbound event again', () => {
  test('applying an event again returns its first deliveries, without a resend', async () => {
    const { call, bill, tell } = await testBilling(db)
    const { id } = await bill(100)
    await call('POST', '/api/v1/webhook_endpoints', { url })
    const { body: kept } = await tell('async', 'bank-1', id, 40)
    const first = await applyInboundEvent(db, kept.id, new Date())
    expect(first).toMatchObject({
      status: 'applied',
      deliveries: [{ eventType: 'invoice.partially_paid', host: 'shop.example' }],
    })
    const [delivery] = first.deliveries
    await tell('sync', 'bank-2', id, 60) // another event of the same invoice emits another webhook
    await db.update(deliveries).set({ status: 'failed', nextSweepAt: null })
    await call('POST', `/api/v1/webhook_deliveries/${delivery?.id}/resend`)
    expect(await applyInboundEvent(db, kept.id, new Date())).toEqual(first)
  })

  test('applying an event again returns no deliveries after they were deleted', async () => {
    const { call, bill, tell } = await testBilling(db)
    const { id } = await bill(100)
    await call('POST', '/api/v1/webhook_endpoints', { url })
    const { body: kept } = await tell('async', 'bank-1', id, 40)
    await applyInboundEvent(db, kept.id, new Date())
    const [row] = await db.select().from(inboundEvents).where(eq(inboundEvents.id, kept.id))
    const toldBy = row?.toldBy ?? ''
    await db.delete(deliveries).where(eq(deliveries.eventId, toldBy))
    await db.delete(events).where(eq(events.id, toldBy))
    const again = await applyInboundEvent(db, kept.id, new Date())
    expect(again).toEqual({ status: 'applied', deliveries: [] })
  })

  test.each(['ignored', 'rejected'] as const)('an event that is %s stays so', async (status) => {
    const { bill, tell } = await testBilling(db)
    const { id } = await bill(100)
    const { body: kept } = await tell('async', 'bank-1', id, 40)
    const change = { status, nextSweepAt: null }
    await db.update(inboundEvents).set(change).where(eq(inboundEvents.id, kept.id))
    const before = await contents(db)
    expect(await applyInboundEvent(db, kept.id, new Date())).toEqual({ status, deliveries: [] })
    expect((await tell('sync', 'bank-1', id, 40)).body).toMatchObject({ status, duplicate: true })
    expect(await contents(db)).toEqual(before)
  })

  test('applying an unknown event is refused with not_found', async () => {
    const gone = applyInboundEvent(db, newId('inbound_event'), new Date())
    await expect(gone).rejects.toMatchObject({ code: 'not_found' })
  })
})
