import { eq, sql } from 'drizzle-orm'
import { inboundEvents } from '../../db/invoices/schema.ts'
import { deliveries } from '../../db/webhooks/schema.ts'
import { testDb } from '../support/db.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { contents } from '../support/http.ts'
import { everythingOf, resetWorkflow, testActivities, until } from '../support/stack.ts'
import { devServerEnv } from '../support/temporal.ts'
import { testBilling } from './billing.ts'

const db = testDb()
const temporal = devServerEnv()
const endpoint = testEndpoint()
beforeEach(() => {
  endpoint.requests = []
})

const workflow = (id: string) => temporal.client().workflow.getHandle(id)
const withWorker = <T>(use: () => Promise<T>) => temporal.withActivities(testActivities(db), use)

/**
 * Sets up a merchant whose inbound events reach Temporal. The merchant's server gets the webhooks
 * of invoices that change.
 */
async function testBank(event_types = ['invoice.partially_paid', 'invoice.paid']) {
  const billing = await testBilling(db, { temporal: temporal.client() })
  await billing.call('POST', '/api/v1/webhook_endpoints', { url: endpoint.url, event_types })

  /**
   * Waits until the merchant has exactly `count` webhooks and all are delivered. Returns the event
   * types that the server received.
   */
  async function delivered(count: number): Promise<string[]> {
    const isTheirs = eq(deliveries.merchantId, billing.merchant.id)
    await until(async () => {
      const sent = await db.select().from(deliveries).where(isTheirs)
      return sent.length === count && sent.every(({ status }) => status === 'delivered')
    }, `${count} webhooks`)
    return endpoint.requests.map(({ body }) => JSON.parse(body).type as string)
  }
  return { ...billing, delivered }
}

/**
 * Runs `sweep` or `reconcile`, as their schedules do. `sweep` finds stored events after `makeDue`
 * has made them due.
 */
async function scheduled(...workflows: ('sweep' | 'reconcile')[]): Promise<void> {
  for (const name of workflows) {
    const start = { workflowId: `${name}-${crypto.randomUUID()}`, taskQueue: 'payments' }
    await temporal.client().workflow.execute(name, { ...start, args: [] })
  }
}
const makeDue = () =>
  db
    .update(inboundEvents)
    .set({ nextSweepAt: sql`now() - interval '1 second'` })
    .where(sql`next_sweep_at is not null`)

test('the workflow of an inbound event applies it and starts the webhooks', async () => {
  const { bill, tell, invoice, delivered } = await testBank()
  const { id } = await bill(100)
  await withWorker(async () => {
    const { body } = await tell('async', 'bank-1', id, 40)
    expect(await workflow(body.id).result()).toBe('applied')
    expect(await delivered(1)).toEqual(['invoice.partially_paid'])
  })
  expect(await invoice(id)).toEqual({
    status: 'partially_paid',
    amount_paid: 40,
    amount_overpaid: 0,
  })
  const sent = JSON.parse(endpoint.requests[0]?.body ?? '')
  expect(sent.data.object).toMatchObject({ id, amount_paid: 40, status: 'partially_paid' })
})

test('the history of an inbound event holds ids, but neither event_id nor amounts', async () => {
  const { bill, tell } = await testBank(['invoice.paid'])
  const { id } = await bill(987_654)
  await withWorker(async () => {
    const { body } = await tell('async', 'bank-told-us', id, 123_456)
    const handle = workflow(body.id)
    await handle.result()
    const everything = await everythingOf(handle)
    expect(everything).toContain(id)
    expect(everything).not.toMatch(/bank-told-us|123456|123,456|987654/)
  })
})

test('a Reset runs applyInboundEvent twice, which changes nothing and sends nothing', async () => {
  const { bill, tell, delivered } = await testBank()
  const { id } = await bill(100)
  await withWorker(async () => {
    const { body } = await tell('async', 'bank-1', id, 100)
    await workflow(body.id).result()
    await delivered(1)
    const before = await contents(db)
    await resetWorkflow(temporal.client(), body.id)
    expect(await workflow(body.id).result()).toBe('applied')
    expect(await contents(db)).toEqual(before)
    expect(await delivered(1)).toEqual(['invoice.paid'])
  })
})

test('an inbound event is applied although its workflow is canceled', async () => {
  const { bill, tell, invoice, delivered } = await testBank()
  const { id } = await bill(100)
  const { body } = await tell('async', 'bank-1', id, 100)
  await workflow(body.id).cancel()
  await withWorker(async () => {
    expect(await workflow(body.id).result()).toBe('applied')
    expect(await delivered(1)).toEqual(['invoice.paid'])
  })
  expect((await invoice(id)).status).toBe('paid')
})

test('an event that a request applies while its workflow waits sends one webhook', async () => {
  const { bill, tell, invoice, delivered } = await testBank()
  const { id } = await bill(100)
  const { body } = await tell('async', 'bank-1', id, 100)
  expect((await tell('sync', 'bank-1', id, 100)).body.status).toBe('applied')
  await withWorker(async () => {
    expect(await workflow(body.id).result()).toBe('applied')
    expect(await delivered(1)).toEqual(['invoice.paid'])
  })
  expect(await invoice(id)).toMatchObject({ status: 'paid', amount_paid: 100 })
})

describe('An inbound event whose workflow was terminated before it did anything', () => {
  async function terminated() {
    const bank = await testBank()
    const { id } = await bank.bill(100)
    const { body } = await bank.tell('async', 'bank-1', id, 100)
    await workflow(body.id).terminate()
    return { ...bank, id, eventId: body.id as string }
  }

  test('a terminated event is started again by the sweep, because nothing claimed it', async () => {
    const { id, eventId, invoice, delivered } = await terminated()
    await makeDue()
    await withWorker(async () => {
      await scheduled('sweep')
      expect(await workflow(eventId).result()).toBe('applied')
      expect(await delivered(1)).toEqual(['invoice.paid'])
    })
    expect(await invoice(id)).toMatchObject({ status: 'paid', amount_paid: 100 })
  })

  test('a terminated event that the sweep has lost is found by reconcile', async () => {
    const { id, eventId, invoice, delivered } = await terminated()
    const lost = { nextSweepAt: null, createdAt: sql`now() - interval '10 minutes'` }
    await db.update(inboundEvents).set(lost).where(eq(inboundEvents.id, eventId))
    await withWorker(async () => {
      await scheduled('sweep')
      expect((await invoice(id)).status).toBe('sent')
      await scheduled('reconcile', 'sweep')
      expect(await workflow(eventId).result()).toBe('applied')
      expect(await delivered(1)).toEqual(['invoice.paid'])
    })
    expect(await invoice(id)).toMatchObject({ status: 'paid', amount_paid: 100 })
  })
})

test('500 events that arrive while no worker runs are all applied once a worker runs', async () => {
  const COUNT = 500
  const { bill, tell, invoice, told, inboxOf, delivered } = await testBank(['invoice.paid'])
  const { id, number } = await bill(COUNT * 10 - 3)
  for (let n = 0; n < COUNT; n += 10) {
    const name = n % 20 === 0 ? id : number
    const batch = Array.from({ length: 10 }, (_, i) => tell('async', `bank-${n + i}`, name, 10))
    expect((await Promise.all(batch)).map(({ status }) => status)).toEqual(Array(10).fill(202))
  }
  expect(await invoice(id)).toMatchObject({ status: 'sent', amount_paid: 0 })
  await makeDue() // the sweep also starts the workflows that the requests started
  await withWorker(async () => {
    await scheduled('sweep')
    for (const event of await inboxOf()) expect(await workflow(event.id).result()).toBe('applied')
    expect(await delivered(1)).toEqual(['invoice.paid'])
  })
  const paid = { status: 'paid', amount_paid: COUNT * 10, amount_overpaid: 3 }
  expect(await invoice(id)).toEqual(paid)
  const types = await told(id)
  expect([types.length, types.at(-1)]).toEqual([COUNT, 'invoice.paid'])
}, 480_000) // it takes a minute on a quiet machine
