import { callAs, testApp } from './app.ts'
import { countedDb, historyOf } from './counting.ts'
import { addMerchant, type Merchant, testDb } from './db.ts'
import { addEndpoint } from './delivery.ts'
import { fileWorkers } from './file-workers.ts'
import { succeed, upi } from './http.ts'
import { patientStart, testActivities, until } from './stack.ts'
import { devServerEnv } from './temporal.ts'

/** What orders and payment links cost, exactly: as test/costs.test.ts. */

const workers = fileWorkers()
const db = testDb()
const temporal = devServerEnv()
const api = countedDb(db)
const worker = countedDb(db)
const names = ['chargePayment', 'takeUpOrder', 'fulfillOrder', 'takeUpLink'] as const
workers.serve(temporal, names, () => testActivities(worker.db))

const sale = { amount: 50_000, currency: 'INR' }
const source = { method: 'upi', vpa: 'test@upi' }
let merchant: Merchant
beforeEach(async () => {
  merchant = await addMerchant(db)
})

describe('To sell takes so many queries:', () => {
  /** The API over the counted connections, once the key's use has been noted for this minute. */
  async function shop() {
    await addEndpoint(db, { merchantId: merchant.id, url: 'https://shop.example/hooks' })
    const call = callAs(testApp(api.db).app, merchant)
    await call('GET', '/api/v1/events?limit=1')
    const pay = (body: object) => call('POST', '/api/v1/payments', body)
    return { call, pay }
  }

  test('six for an order, and three more than else for a payment of one', async () => {
    const { call, pay } = await shop()
    let id = ''
    const order = async () => {
      id = (await call('POST', '/api/v1/orders', sale)).body.id
    }
    expect(await api.count(order)).toBe(6)
    expect(await api.count(() => pay({ ...upi, order_id: id }))).toBe(9)
  })

  test('for a fulfilment and a cancel', async () => {
    const { call, pay } = await shop()
    for (const [verb, queries] of [
      ['fulfill', 8],
      ['cancel', 10], // it looks for what there is to refund, and whether that is there
    ] as const) {
      const { body } = await call('POST', '/api/v1/orders', sale)
      await succeed(db, (await pay({ ...upi, order_id: body.id })).body.id)
      const command = () => call('POST', `/api/v1/orders/${body.id}/${verb}`)
      expect(await api.count(command)).toBe(queries)
    }
  })

  test('for a payment link, to look at it and to pay it', async () => {
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

describe('What is sold takes the worker', () => {
  const handleOf = (id: string) => temporal.client().workflow.getHandle(id)
  const untilTasks = (id: string, workflowTasks: number) =>
    until(async () => (await historyOf(handleOf(id))).workflowTasks === workflowTasks, 'its tasks')

  /** One that its workflow has looked up, so that nothing else happens at the same time. */
  async function sell(path: string) {
    const client = temporal.client()
    const { app } = testApp(db, { temporal: client, tryStart: patientStart(client) })
    const call = callAs(app, merchant)
    const { body } = await call('POST', `/api/v1/${path}`, sale)
    await untilTasks(body.id, 2)
    return { call, id: body.id as string }
  }

  // As many as any other, two that mark a patch, and one task to tell its order or link.
  const ofPayment = { events: 18, workflowTasks: 3, activities: 1, children: 0 }

  test('22 queries for an order that is paid and fulfilled, and 28 events beside those of its payment', async () => {
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

  test('18 queries for a payment link that is paid, and 15 events beside those of its payment', async () => {
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
})
