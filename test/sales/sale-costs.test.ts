import { callAs, testApp } from '../support/app.ts'
import { countedDb, historyOf } from '../support/counting.ts'
import { addMerchant, type Merchant, testDb } from '../support/db.ts'
import { fileWorkers } from '../support/file-workers.ts'
import { succeed, upi } from '../support/http.ts'
import { testActivities, until } from '../support/stack.ts'
import { devServerEnv } from '../support/temporal.ts'
import { addEndpoint } from '../webhooks/delivery.ts'

/** These tests fix the exact costs of orders and payment links, like test/repo/costs.test.ts. */

const workers = fileWorkers()
const db = testDb()
const temporal = devServerEnv()
const api = countedDb(db)
const worker = countedDb(db)
const names = [
  ...(['chargePayment', 'takeUpOrder', 'fulfillOrder', 'takeUpLink', 'closeLink'] as const),
  ...(['cancelOrder', 'awaitPaymentEnd', 'refundOrder', 'awaitRefundEnd', 'sendRefund'] as const),
]
// `awaitRefundEnd` is not counted, because chance decides how often it looks. Each look takes one
// query and no event.
const { awaitRefundEnd } = testActivities(db)
workers.serve(temporal, names, () => ({ ...testActivities(worker.db), awaitRefundEnd }))

const EXPIRES_IN_MS = 2_000 // by then the link's workflow waits
const sale = { amount: 50_000, currency: 'INR' }
const source = { method: 'upi', vpa: 'test@upi' }
let merchant: Merchant
beforeEach(async () => {
  merchant = await addMerchant(db)
})

describe('The queries of the API for a sale', () => {
  /** Calls the API over counted connections, after the key's use is noted for this minute. */
  async function shop() {
    await addEndpoint(db, { merchantId: merchant.id, url: 'https://shop.example/hooks' })
    const call = callAs(testApp(api.db).app, merchant)
    await call('GET', '/api/v1/events?limit=1')
    const pay = (body: object) => call('POST', '/api/v1/payments', body)
    return { call, pay }
  }

  test('an order takes six queries, and a payment for it three more than any other payment', async () => {
    const { call, pay } = await shop()
    let id = ''
    const order = async () => {
      id = (await call('POST', '/api/v1/orders', sale)).body.id
    }
    expect(await api.count(order)).toBe(6)
    expect(await api.count(() => pay({ ...upi, order_id: id }))).toBe(9)
  })

  test('a fulfill takes eight queries, and a cancel nine', async () => {
    const { call, pay } = await shop()
    for (const [verb, queries] of [
      ['fulfill', 8],
      ['cancel', 9], // one query looks for money to refund
    ] as const) {
      const { body } = await call('POST', '/api/v1/orders', sale)
      await succeed(db, (await pay({ ...upi, order_id: body.id })).body.id)
      const command = () => call('POST', `/api/v1/orders/${body.id}/${verb}`)
      expect(await api.count(command)).toBe(queries)
    }
  })

  test('a payment link takes six queries, to look at it three, and to pay it ten', async () => {
    const { call } = await shop()
    let id = ''
    const make = async () => {
      id = (await call('POST', '/api/v1/payment_links', sale)).body.id
    }
    expect(await api.count(make)).toBe(6)
    expect(await api.count(() => call('GET', `/pay/${id}`))).toBe(3)
    expect(await api.count(() => call('POST', `/pay/${id}`, source))).toBe(10)
  })
})

describe('The costs of a sale for the worker', () => {
  const handleOf = (id: string) => temporal.client().workflow.getHandle(id)
  const untilTasks = (id: string, workflowTasks: number) =>
    until(async () => (await historyOf(handleOf(id))).workflowTasks === workflowTasks, 'its tasks')

  /** Adds an order or a link, and waits until its workflow has looked it up and is idle. */
  async function sell(path: string, until = {}) {
    const client = temporal.client()
    const { app } = testApp(db, { temporal: client })
    const call = callAs(app, merchant)
    const { body } = await call('POST', `/api/v1/${path}`, { ...sale, ...until })
    await untilTasks(body.id, 2)
    return { call, id: body.id as string }
  }

  // A payment signals its order or link. The signal costs five events and a workflow task.
  const ofPayment = { events: 16, workflowTasks: 3, activities: 1, children: 0 }

  test('an order that is paid and fulfilled takes 22 queries, and 28 events besides its payment', async () => {
    let [order, payment] = ['', '']
    const sold = async () => {
      const { call, id } = await sell('orders')
      const { body } = await call('POST', '/api/v1/payments', { ...upi, order_id: id })
      await untilTasks(id, 3)
      const fulfilled = await call('POST', `/api/v1/orders/${id}/fulfill`)
      expect([fulfilled.status, fulfilled.body.status]).toEqual([200, 'fulfilled'])
      await Promise.all([handleOf(id).result(), handleOf(body.id).result()])
      order = id
      payment = body.id
    }
    expect(await worker.count(sold)).toBe(22)
    expect(await historyOf(handleOf(payment))).toEqual(ofPayment)
    const costs = { events: 28, workflowTasks: 5, activities: 2, children: 0 }
    expect(await historyOf(handleOf(order))).toEqual(costs)
  })

  test('a payment link that is paid takes 18 queries, and 15 events besides its payment', async () => {
    let [link, payment] = ['', '']
    const sold = async () => {
      const { call, id } = await sell('payment_links')
      const { body } = await call('POST', `/pay/${id}`, source)
      expect(await handleOf(id).result()).toBe('paid')
      await handleOf(body.id).result()
      link = id
      payment = body.id
    }
    expect(await worker.count(sold)).toBe(18)
    expect(await historyOf(handleOf(payment))).toEqual(ofPayment)
    const costs = { events: 15, workflowTasks: 3, activities: 1, children: 0 }
    expect(await historyOf(handleOf(link))).toEqual(costs)
  })

  test('an order that is paid and refunded takes 62 queries, and 61 events besides these two', async () => {
    let [order, refund] = ['', '']
    const undone = async () => {
      const { call, id } = await sell('orders')
      const { body } = await call('POST', '/api/v1/payments', { ...upi, order_id: id })
      await untilTasks(id, 3)
      await handleOf(body.id).result()
      await call('POST', `/api/v1/orders/${id}/cancel`)
      expect(await handleOf(id).result()).toBe('canceled')
      order = id
      refund = (await call('GET', `/api/v1/payments/${body.id}/refunds`)).body.data[0].id
      await handleOf(refund).result()
    }
    expect(await worker.count(undone)).toBe(62)
    const ofRefund = { events: 11, workflowTasks: 2, activities: 1, children: 0 }
    expect(await historyOf(handleOf(refund))).toEqual(ofRefund)
    const costs = { events: 61, workflowTasks: 11, activities: 6, children: 1 }
    expect(await historyOf(handleOf(order))).toEqual(costs)
  })

  test('a payment link that expires takes nine queries and 22 events', async () => {
    let link = ''
    const expired = async () => {
      const expires_at = new Date(Date.now() + EXPIRES_IN_MS).toISOString()
      const { id } = await sell('payment_links', { expires_at })
      expect(await handleOf(id).result()).toBe('expired')
      link = id
    }
    expect(await worker.count(expired)).toBe(9)
    const costs = { events: 22, workflowTasks: 4, activities: 2, children: 0 }
    expect(await historyOf(handleOf(link))).toEqual(costs)
  })
})
