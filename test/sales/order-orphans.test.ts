import { eq } from 'drizzle-orm'
import { orders } from '../../db/payments/schema.ts'
import { commands } from '../../db/requests/schema.ts'
import { NothingHappened } from '../../providers/provider.ts'
import { sandboxCharges } from '../../providers/sandbox/schema.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { until } from '../support/stack.ts'
import { addEndpoint } from '../webhooks/delivery.ts'
import { expectAgreed, saleOf, toldOf } from './sale-laws.ts'
import { byCardOf, byVpa, testSelling } from './selling.ts'

const shop = testSelling()
const { db, order, pay, post, handleOf, orderOf, untilStage, scheduled } = shop
const endpoint = testEndpoint()

/** Terminates a saga, and makes its order old enough for `reconcile` to check the saga. */
async function terminate(id: string): Promise<void> {
  await handleOf(id).terminate()
  const createdAt = new Date(Date.now() - 10 * 60_000)
  await db.update(orders).set({ createdAt }).where(eq(orders.id, id))
}

/** Runs the schedules `reconcile`, which is due every five minutes, and `sweep`. */
async function reconcile(): Promise<void> {
  await scheduled('reconcile')
  await scheduled('sweep')
}

describe('An order whose saga was terminated', () => {
  test('an order that is paid without a saga gets a saga that continues with status "paid"', async () => {
    const id = await order()
    await untilStage(id, 'awaiting_payment')
    await terminate(id)
    const paymentId = await pay(id)
    expect(await handleOf(paymentId).result()).toBe('succeeded') // without a saga to signal
    await reconcile()
    await untilStage(id, 'awaiting_fulfilment')
    expect((await post(`orders/${id}/fulfill`)).body.status).toBe('fulfilled')
    expect(await handleOf(id).result()).toBe('fulfilled')
    await expectAgreed(db, id)
  })

  test('a compensation that was interrupted is completed by another saga', async () => {
    let isAway = true
    let wasAsked = false
    shop.use({
      wrap: ({ createRefund }) => ({
        async createRefund(request) {
          wasAsked = true
          if (isAway) throw new NothingHappened('HTTP 503') // other errors delay a retry by 40 s
          return createRefund(request)
        },
      }),
    })
    const id = await order()
    await pay(id)
    await untilStage(id, 'awaiting_fulfilment')
    await post(`orders/${id}/cancel`)
    await until(async () => wasAsked)
    await terminate(id)
    isAway = false
    await reconcile()
    expect(await handleOf(id).result()).toBe('canceled')
    expect((await saleOf(db, id)).refunds).toMatchObject([{ status: 'succeeded' }])
    await expectAgreed(db, id)
  })

  test('a cancel is accepted with 202, and done by the saga that the sweep starts', async () => {
    const id = await order()
    await untilStage(id, 'awaiting_payment')
    await terminate(id)
    expect((await post(`orders/${id}/cancel`)).status).toBe(202)
    await db.update(commands).set({ nextSweepAt: new Date() }).where(eq(commands.resourceId, id))
    await scheduled('sweep')
    expect(await handleOf(id).result()).toBe('canceled')
    await expectAgreed(db, id)
  })
})

describe('An order whose saga misses the signal of its payment', () => {
  const tellNobody = () =>
    shop.use({
      activities: ({ chargePayment }) => ({
        async chargePayment(id) {
          const { payable: _, ...progress } = (await chargePayment(id)) as { payable?: object }
          return progress as never
        },
      }),
    })

  test('a paid order can be fulfilled although its saga missed the signal', async () => {
    tellNobody()
    const id = await order()
    await handleOf(await pay(id)).result()
    expect(await handleOf(id).query('state')).toMatchObject({ stage: 'awaiting_payment' })
    expect((await post(`orders/${id}/fulfill`)).body.status).toBe('fulfilled')
    expect(await handleOf(id).result()).toBe('fulfilled')
    await expectAgreed(db, id)
  })

  test('a paid order is refunded at its deadline although its saga missed the signal', async () => {
    tellNobody()
    const id = await order({ inMs: 3_000 })
    await handleOf(await pay(id)).result()
    expect(await orderOf(id)).toMatchObject({ status: 'paid' })
    expect(await handleOf(id).result()).toBe('canceled')
    expect((await saleOf(db, id)).refunds).toMatchObject([{ status: 'succeeded' }])
    await expectAgreed(db, id)
  })
})

test('The merchant gets one webhook for each status of an order', async () => {
  await addEndpoint(db, { merchantId: shop.merchantId(), url: endpoint.url })
  endpoint.requests = []
  const [fulfilled, canceled] = [await order(), await order()]
  for (const id of [fulfilled, canceled]) {
    await pay(id)
    await untilStage(id, 'awaiting_fulfilment')
  }
  await post(`orders/${fulfilled}/fulfill`)
  await post(`orders/${canceled}/cancel`)
  expect(await handleOf(canceled).result()).toBe('canceled')
  const told = () => {
    const bodies = endpoint.requests.map(({ body }) => JSON.parse(body))
    const of = (id: string) => bodies.filter((one) => one.data.object.id === id)
    return [fulfilled, canceled].map((id) =>
      of(id)
        .map((one) => `${one.type}: ${one.data.object.status}`)
        .sort(),
    )
  }
  const both = ['order.created: created', 'order.paid: paid']
  await until(async () => told().every((types) => types.length === 3))
  expect(told()).toEqual([
    ['order.created: created', 'order.fulfilled: fulfilled', 'order.paid: paid'],
    ['order.canceled: canceled', ...both],
  ])
})

describe('Late news about a canceled order', () => {
  test('a refund that comes back is made again, and its payment is flagged for an operator', async () => {
    const id = await order()
    const paymentId = await pay(id, byCardOf('4000000000005126'))
    await untilStage(id, 'awaiting_fulfilment')
    await post(`orders/${id}/cancel`)
    expect(await handleOf(id).result()).toBe('canceled')
    const { refunds: before } = await saleOf(db, id)
    expect(before).toMatchObject([{ status: 'succeeded' }])
    const [first] = before

    const theCharge = eq(sandboxCharges.paymentId, paymentId)
    await db.update(sandboxCharges).set({ source: 'test@upi' }).where(theCharge)
    await until(async () => {
      await reconcile()
      return (await orderOf(id)).isCompensating || (await saleOf(db, id)).refunds.length > 1
    }, 'the refund to come back')
    await scheduled('sweep')
    await until(async () => !(await orderOf(id)).isCompensating)
    expect(await handleOf(id).result()).toBe('canceled')
    const { refunds, payments } = await saleOf(db, id)
    expect(refunds.find((refund) => refund.id === first?.id)).toMatchObject({
      status: 'failed',
      failureCode: 'returned',
    })
    expect(refunds.filter(({ status }) => status === 'succeeded')).toHaveLength(1)
    expect(payments).toMatchObject([{ amountRefunded: 50_000, needsAttention: true }])
    expect(await toldOf(db, id)).toEqual(['canceled', 'created', 'paid'])
    await expectAgreed(db, id)
  })

  test('a late success of a canceled payment is refunded although its first refund is declined', async () => {
    const id = await order()
    const paymentId = await pay(id, byVpa('stuck@upi'))
    await untilStage(paymentId, 'waiting')
    await post(`orders/${id}/cancel`)
    expect(await handleOf(id).result()).toBe('canceled')

    const taken = { status: 'succeeded' as const, amountCaptured: 50_000, source: 'norefund@upi' }
    const theCharge = eq(sandboxCharges.paymentId, paymentId)
    await db
      .update(sandboxCharges)
      .set({ ...taken, decidesAt: new Date() })
      .where(theCharge)
    await reconcile()
    await until(async () => (await orderOf(id)).isCompensating, 'the refund to be declined')
    await db.update(sandboxCharges).set({ source: 'test@upi' }).where(theCharge)
    await scheduled('sweep')
    await until(async () => !(await orderOf(id)).isCompensating, 'it to be given back')
    const { refunds, payments } = await saleOf(db, id)
    expect(payments).toMatchObject([{ status: 'canceled', amountRefunded: 50_000 }])
    expect(refunds.map(({ status }) => status).sort()).toEqual(['failed', 'succeeded'])
    await expectAgreed(db, id)
  })
})
