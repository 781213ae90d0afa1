import { eq, isNotNull } from 'drizzle-orm'
import { seedDemo } from '../../db/merchants/seed.ts'
import { cancelOrder } from '../../db/orders/steps.ts'
import { orders } from '../../db/payments/schema.ts'
import { takeStranded } from '../../db/recovery/sweep.ts'
import { callAs, testApp } from '../support/app.ts'
import { testDb } from '../support/db.ts'
import { contents, fail, succeed, upi } from '../support/http.ts'

const db = testDb()
const demoShop = { id: '', key: 'key_test_abc123', secret: 'secret_test_xyz789' }
const call = callAs(testApp(db).app, demoShop)
const DAY_MS = 24 * 60 * 60_000
const references = ['ord_test_001', 'TEST_1', 'ORDER_123']

const seed = () =>
  seedDemo({
    url: db.url,
    encryptionKey: Buffer.alloc(32, 7).toString('base64'),
    receiverUrl: 'http://127.0.0.1:8000/dev/receiver',
    receiverSecret: 'whsec_eA==',
  })

/** Returns the demo orders by their references. */
async function demoOrders() {
  const named = await db.select().from(orders).where(isNotNull(orders.reference))
  return Object.fromEntries(named.map((order) => [order.reference ?? '', order]))
}

const pay = async (reference: string) => {
  const answer = await call('POST', '/api/v1/payments', { ...upi, order_id: reference })
  expect(answer.status).toBe(201)
  return answer.body.id as string
}

test('the demo orders wait a year to be paid and fulfilled, and the sweep starts their sagas', async () => {
  const before = Date.now()
  await seed()
  const found = await demoOrders()
  expect(Object.keys(found).sort()).toEqual([...references].sort())
  for (const order of Object.values(found)) {
    expect(order).toMatchObject({ status: 'created', amount: 50_000, currency: 'INR' })
    const aheadMs = order.fulfilBy.getTime() - before
    expect(Math.round(aheadMs / DAY_MS)).toBe(365)
  }
  const { orders: swept } = await takeStranded(db, new Date(Date.now() + 31_000), 10)
  const ids = Object.values(found).map(({ id }) => id)
  expect(swept.map(({ id }) => id).sort()).toEqual(ids.sort())
})

test('an open demo order is left unchanged by the next start', async () => {
  await seed()
  await fail(db, await pay('TEST_1'))
  const before = await demoOrders()
  const tables = await contents(db)
  await seed()
  expect(await demoOrders()).toEqual(before)
  expect((await contents(db)).orders).toBe(tables.orders)
})

test.each<[string, (reference: string, id: string) => Promise<unknown>]>([
  ['being paid', (reference) => pay(reference)],
  ['paid', async (reference) => succeed(db, await pay(reference))],
  ['canceled', (_, id) => cancelOrder(db, id, 'deadline_passed', new Date())],
])(
  'a demo order that is %s gives up its reference to a new order, which can be paid',
  async (_, use) => {
    await seed()
    const [reference = ''] = references
    const first = (await demoOrders())[reference]
    await use(reference, first?.id ?? '')
    const { status, paymentId } = (await demoOrders())[reference] ?? {}
    await seed()
    const second = (await demoOrders())[reference]
    expect(second?.id).not.toBe(first?.id)
    expect(second).toMatchObject({ status: 'created', amount: 50_000 })
    const kept = eq(orders.id, first?.id ?? '')
    expect(await db.select().from(orders).where(kept)).toMatchObject([
      { reference: null, status, paymentId },
    ])
    await pay(reference)
    await seed() // the next start works too
  },
)
