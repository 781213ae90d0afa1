import { eq } from 'drizzle-orm'
import { orders } from '../../db/payments/schema.ts'
import { authorizePayment } from '../../db/payments/steps.ts'
import { testDb } from '../support/db.ts'
import { contents, expectRefusal, fail, succeed, testShop, upi } from '../support/http.ts'

const db = testDb()

describe('a payment for an order', () => {
  async function shopWithOrder() {
    const shop = await testShop(db)
    const order = { amount: 50_000, currency: 'inr', reference: 'ORDER_1' }
    const { body } = await shop.call('POST', '/api/v1/orders', order)
    const pay = (change: object = {}) =>
      shop.call('POST', '/api/v1/payments', { ...upi, order_id: 'ORDER_1', ...change })
    return { ...shop, pay, orderId: body.id as string }
  }

  test.each(['id', 'reference'])(
    'a payment names its order by %s, and shows the id',
    async (by) => {
      const { pay, orderId } = await shopWithOrder()
      const made = await pay({ order_id: by === 'id' ? orderId : 'ORDER_1' })
      expect([made.status, made.body.order_id]).toEqual([201, orderId])
    },
  )

  test.each([
    ['amount', 50_001],
    ['amount', 49_999],
    ['currency', 'USD'],
  ])('a payment must match its order in %s: %s is refused with 422', async (param, value) => {
    const { pay } = await shopWithOrder()
    const before = await contents(db)
    expectRefusal(await pay({ [param]: value }), 422, 'order_mismatch', param)
    expect(await contents(db)).toEqual(before)
  })

  test.each(['ORDER_404', 'ord_01jzxd4f7ve7q9w4d4pmx6k5hr'])(
    'a payment for the unknown order %s is refused with 404',
    async (order_id) => {
      const { pay } = await shopWithOrder()
      expectRefusal(await pay({ order_id }), 404, 'order_not_found', 'order_id')
    },
  )

  test('a second payment is refused with 409 while the first is in progress', async () => {
    const { pay, orderId } = await shopWithOrder()
    await pay()
    const second = await pay({ order_id: orderId })
    expectRefusal(second, 409, 'order_payment_in_progress', 'order_id')
  })

  test('a second payment is refused with 409 after the first has succeeded', async () => {
    const { pay, call, orderId } = await shopWithOrder()
    const { body } = await pay()
    await succeed(db, body.id)
    expectRefusal(await pay(), 409, 'order_already_paid', 'order_id')
    expect((await call('GET', `/api/v1/orders/${orderId}`)).body.status).toBe('paid')
  })

  test('a second payment is accepted after the first has failed', async () => {
    const { pay, call } = await shopWithOrder()
    const first = await pay()
    await fail(db, first.body.id)
    const shown = (await call('GET', `/api/v1/payments/${first.body.id}`)).body
    expect(shown).toMatchObject({
      status: 'failed',
      failure_code: 'upi_declined',
      failure_message: 'The payer declined the UPI request.',
    })
    const second = await pay()
    expect(second.status).toBe(201)
    expect(second.body.id).not.toBe(first.body.id)
  })

  test.each(['its deadline has passed', 'its merchant has asked to cancel it'])(
    'a payment for an order is refused with 409 when %s, even before the order is canceled',
    async (why) => {
      const { pay, call, orderId } = await shopWithOrder()
      const passed = { fulfilBy: new Date(Date.now() - 1) }
      if (why.startsWith('its deadline'))
        await db.update(orders).set(passed).where(eq(orders.id, orderId))
      else expect((await call('POST', `/api/v1/orders/${orderId}/cancel`)).status).toBe(202)
      const before = await contents(db)
      expectRefusal(await pay(), 409, 'conflict', 'order_id')
      expect(await contents(db)).toEqual(before)
    },
  )

  test('a payment for an order is captured in full, and a partial capture is refused with 422', async () => {
    const { pay, call } = await shopWithOrder()
    const { body } = await pay({ capture_method: 'manual' })
    await authorizePayment(db, body.id, new Date())
    const capture = (input: object) => call('POST', `/api/v1/payments/${body.id}/capture`, input)
    const before = await contents(db)
    expectRefusal(await capture({ amount: 49_999 }), 422, 'order_mismatch', 'amount')
    expect(await contents(db)).toEqual(before)
    expect((await capture({ amount: 50_000 })).status).toBe(202)
  })

  test('one of ten payments for an order at the same moment is created', async () => {
    const { pay, started } = await shopWithOrder()
    const answers = await Promise.all(Array.from({ length: 10 }, () => pay()))
    const made = answers.filter(({ status }) => status === 201)
    expect(made).toHaveLength(1)
    for (const answer of answers)
      if (answer !== made[0]) expectRefusal(answer, 409, 'order_payment_in_progress', 'order_id')
    expect(started.filter((start) => start.workflowType === 'processPayment')).toHaveLength(1)
  })
})
