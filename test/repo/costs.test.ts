import type { WorkflowHandle } from '@temporalio/client'
import { deliveryStart } from '../../temporal/starts.ts'
import { callAs, testApp } from '../support/app.ts'
import { countedDb, historyOf } from '../support/counting.ts'
import { addMerchant, type Merchant, testDb } from '../support/db.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { fileWorkers } from '../support/file-workers.ts'
import { byCard, succeed, upi } from '../support/http.ts'
import { testActivities, until } from '../support/stack.ts'
import { devServerEnv } from '../support/temporal.ts'
import { addDelivery, addEndpoint } from '../webhooks/delivery.ts'

/**
 * These tests fix exact costs, neither more nor fewer, so that no growth stays unseen and each gain
 * is kept. docs/performance.md says where the time goes.
 */

const workers = fileWorkers()
const db = testDb()
const temporal = devServerEnv()
const endpoint = testEndpoint()
const api = countedDb(db)
const worker = countedDb(db)
const names = [
  'chargePayment',
  'sendRefund',
  'sendPayout',
  'pollPayout',
  'postWebhook',
  'failDelivery',
  'applyInboundEvent',
] as const
workers.serve(temporal, names, () => testActivities(worker.db))

let merchant: Merchant
beforeEach(async () => {
  merchant = await addMerchant(db)
})

/** Calls the API over counted connections, after the key's use is noted for this minute. */
async function shop({ endpoints = 0 } = {}) {
  for (let n = 0; n < endpoints; n++)
    await addEndpoint(db, { merchantId: merchant.id, url: endpoint.url })
  const { app } = testApp(api.db)
  const call = callAs(app, merchant)
  await call('GET', '/api/v1/events?limit=1')
  return {
    call,
    post: (body: object, headers = {}) => call('POST', '/api/v1/payments', body, headers),
  }
}

describe('Creating a payment', () => {
  test.each([
    ['without an endpoint', 0, 5],
    ['with one', 1, 6],
    ['with three', 3, 6],
  ])(
    'a payment for a merchant %s takes the expected number of queries',
    async (_, endpoints, queries) => {
      const { post } = await shop({ endpoints })
      expect(await api.count(() => post(upi))).toBe(queries)
    },
  )

  test('a payment with an Idempotency-Key takes three more queries, and a repeat five in all', async () => {
    const { post } = await shop({ endpoints: 1 })
    const key = { 'idempotency-key': 'once' }
    expect(await api.count(() => post(upi, key))).toBe(9)
    expect(await api.count(() => post(upi, key))).toBe(5)
  })

  test('a payment by card takes six queries, as many as by UPI', async () => {
    const { post } = await shop({ endpoints: 1 })
    expect(await api.count(() => post(byCard))).toBe(6)
  })
})

describe('Moving money out', () => {
  const payout = { amount: 100, currency: 'INR', destination: { type: 'vpa', vpa: 'test@upi' } }

  test('a refund takes nine queries, and a payout eight', async () => {
    const { call, post } = await shop({ endpoints: 1 })
    const { body } = await post(upi)
    await succeed(db, body.id)
    const refund = () => call('POST', `/api/v1/payments/${body.id}/refunds`, { amount: 100 })
    const pay = () => call('POST', '/api/v1/payouts', payout)
    expect(await api.count(refund)).toBe(9)
    expect(await api.count(pay)).toBe(8)
  })
})

describe('Billing', () => {
  const event = (event_id: string) => ({ event_id, invoice_id: 1, amount: 100 })

  test('an invoice takes eight queries, and an invoice with a given number seven', async () => {
    const { call } = await shop({ endpoints: 1 })
    const invoice = { amount: 500, currency: 'INR' }
    expect(await api.count(() => call('POST', '/api/v1/invoices', invoice))).toBe(8)
    const numbered = { ...invoice, number: 17 }
    expect(await api.count(() => call('POST', '/api/v1/invoices', numbered))).toBe(7)
  })

  test.each([
    ['/webhooks-sync/payments', 11, 7],
    ['/webhooks/payments', 5, 7],
  ])('an inbound event at %s takes %i queries, and its repeat %i', async (path, first, repeat) => {
    const { call } = await shop({ endpoints: 1 })
    await call('POST', '/api/v1/invoices', { amount: 500, currency: 'INR' })
    const tell = () => call('POST', path, event('bank-1'))
    expect(await api.count(tell)).toBe(first)
    expect(await api.count(tell)).toBe(repeat)
  })
})

test.each([
  ['balance', 2],
  ['invoices', 2],
  ['balance_transactions', 3],
  ['refunds', 2],
  ['payouts', 2],
  ['payments/:payment', 2],
  ['payments', 2],
  ['payments?starting_after=:payment', 3],
  ['events', 2],
  ['webhook_deliveries', 2],
  ['webhook_deliveries/:delivery', 3],
  ['webhook_endpoints', 2],
])('GET %s takes %i queries', async (path, queries) => {
  const { call, post } = await shop({ endpoints: 1 })
  const { body } = await post(upi)
  await succeed(db, body.id)
  const deliveries = await call('GET', '/api/v1/webhook_deliveries')
  const ids = { ':payment': body.id, ':delivery': deliveries.body.data[0].id }
  const real = path.replace(/:(payment|delivery)/, (name) => ids[name as keyof typeof ids])
  const get = async () => expect((await call('GET', `/api/v1/${real}`)).status).toBe(200)
  expect(await api.count(get)).toBe(queries)
})

describe('A payment that is decided at once', () => {
  async function pay() {
    const { app } = testApp(db, { temporal: temporal.client() })
    const { body } = await callAs(app, merchant)('POST', '/api/v1/payments', upi)
    const handle = temporal.client().workflow.getHandle(body.id)
    await handle.result()
    return handle
  }

  test('a payment takes the worker fourteen queries, two workflow tasks and 11 events', async () => {
    let handle: WorkflowHandle | undefined
    // One query is for the merchant's account, which is missing at the merchant's first payment.
    expect(await worker.count(async () => (handle = await pay()))).toBe(14)
    const costs = { events: 11, workflowTasks: 2, activities: 1, children: 0 }
    expect(await historyOf(handle as WorkflowHandle)).toEqual(costs)
  })

  test('a payment that also starts two deliveries takes at most 25 events', async () => {
    await addEndpoint(db, { merchantId: merchant.id, url: endpoint.url })
    endpoint.requests = []
    const handle = await pay()
    await until(async () => endpoint.requests.length === 2, 'both webhooks')
    const { events = 0, workflowTasks, ...costs } = await historyOf(handle)
    expect(costs).toEqual({ activities: 1, children: 2 })
    // Events that happen at the same time may or may not share a workflow task.
    expect(workflowTasks).toBeGreaterThanOrEqual(3)
    expect(workflowTasks).toBeLessThanOrEqual(5)
    expect(events).toBeLessThanOrEqual(25)
  })
})

describe('The costs for the worker of a refund or payout that is decided at once', () => {
  async function settled(path: string, input: object): Promise<WorkflowHandle> {
    const { app } = testApp(db, { temporal: temporal.client() })
    const { body } = await callAs(app, merchant)('POST', `/api/v1/${path}`, input)
    const handle = temporal.client().workflow.getHandle(body.id)
    await handle.result()
    return handle
  }

  test('a refund takes twenty queries, two workflow tasks and 11 events', async () => {
    const { workflowId } = await settled('payments', upi)
    let handle: WorkflowHandle | undefined
    const refund = () => settled(`payments/${workflowId}/refunds`, { amount: 100 })
    expect(await worker.count(async () => (handle = await refund()))).toBe(20)
    const costs = { events: 11, workflowTasks: 2, activities: 1, children: 0 }
    expect(await historyOf(handle as WorkflowHandle)).toEqual(costs)
  })

  test('a payout takes twenty-six queries, three workflow tasks and 19 events', async () => {
    await settled('payments', upi)
    const destination = { type: 'vpa', vpa: 'test@upi' }
    const input = { amount: 100, currency: 'INR', destination }
    let handle: WorkflowHandle | undefined
    expect(await worker.count(async () => (handle = await settled('payouts', input)))).toBe(26)
    const costs = { events: 19, workflowTasks: 3, activities: 2, children: 0 }
    expect(await historyOf(handle as WorkflowHandle)).toEqual(costs)
  })
})

describe('The costs for the worker of an inbound event', () => {
  async function bill() {
    const { app } = testApp(db, { temporal: temporal.client() })
    const call = callAs(app, merchant)
    await call('POST', '/api/v1/invoices', { amount: 500, currency: 'INR' })
    return (path: string) => call('POST', path, { event_id: 'bank-1', invoice_id: 1, amount: 100 })
  }

  test('an event that the API applies at once takes the worker no queries', async () => {
    const tell = await bill()
    const told = async () => expect((await tell('/webhooks-sync/payments')).status).toBe(200)
    expect(await worker.count(told)).toBe(0)
  })

  test('an event that a workflow applies takes seven queries, two workflow tasks and 11 events', async () => {
    const tell = await bill()
    let handle: WorkflowHandle | undefined
    const apply = async () => {
      const { body } = await tell('/webhooks/payments')
      handle = temporal.client().workflow.getHandle(body.id)
      await handle.result()
    }
    expect(await worker.count(apply)).toBe(7)
    const costs = { events: 11, workflowTasks: 2, activities: 1, children: 0 }
    expect(await historyOf(handle as WorkflowHandle)).toEqual(costs)
  })
})

test('An attempt takes three queries, and a delivery two workflow tasks and 11 events', async () => {
  const delivery = await addDelivery(db, { url: endpoint.url })
  const { workflowType, ...start } = deliveryStart(delivery)
  const { workflow } = temporal.client()
  const deliver = () => workflow.execute(workflowType, start)
  expect(await worker.count(deliver)).toBe(3)
  const costs = { events: 11, workflowTasks: 2, activities: 1, children: 0 }
  expect(await historyOf(workflow.getHandle(delivery.id))).toEqual(costs)
})

test('A delivery with one failed attempt takes six queries, three workflow tasks and 15 events', async () => {
  const answers = [503, 200]
  endpoint.answer = async () => ({ status: answers.shift() ?? 200 })
  const delivery = await addDelivery(db, { url: endpoint.url, retrySchedule: [1] })
  const { workflowType, ...start } = deliveryStart(delivery)
  const { workflow } = temporal.client()
  expect(await worker.count(() => workflow.execute(workflowType, start))).toBe(6)
  const costs = { events: 15, workflowTasks: 3, activities: 1, children: 0 }
  expect(await historyOf(workflow.getHandle(delivery.id))).toEqual(costs)
})
