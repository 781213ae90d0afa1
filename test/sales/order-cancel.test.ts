import { cancelOrder, fulfill } from '../../workflows/index.ts'
import { gate } from '../support/gate.ts'
import { pause, resetWorkflow, until } from '../support/stack.ts'
import { expectAgreed, saleOf, toldOf } from './sale-laws.ts'
import { byVpa, testSelling } from './selling.ts'

const shop = testSelling()
const { db, temporal, order, pay, post, handleOf, orderOf, untilOrder, untilStage } = shop

const reset = (id: string) => resetWorkflow(temporal.client(), id)

async function paidOrder(source?: object) {
  const id = await order()
  const paymentId = await pay(id, source)
  await untilStage(id, 'awaiting_fulfilment')
  return { id, paymentId }
}

/** Of the merchant's command, and of the one that its payment was told. */
async function commandsOf(id: string): Promise<string[]> {
  const { commands } = await saleOf(db, id)
  return commands
    .map(({ resourceId, kind, status }) => {
      return `${resourceId.split('_')[0]} ${kind} ${status}`
    })
    .sort()
}

async function expectCanceled(id: string, payment: 'canceled' | 'refunded') {
  expect(await handleOf(id).result()).toBe('canceled')
  const { payments, refunds } = await saleOf(db, id)
  const status = payment === 'refunded' ? 'succeeded' : 'canceled'
  expect(payments).toMatchObject([{ status }])
  expect(refunds).toHaveLength(payment === 'refunded' ? 1 : 0)
  await expectAgreed(db, id)
}

describe('An order that is canceled', () => {
  test('while nobody knows whether it is paid cancels the payment', async () => {
    const id = await order()
    await untilStage(await pay(id, byVpa('stuck@upi')), 'waiting')
    expect((await post(`orders/${id}/cancel`)).body.status).toBe('canceled')
    await expectCanceled(id, 'canceled')
    expect(await commandsOf(id)).toEqual(['ord cancel done', 'pay cancel done'])
    expect(await toldOf(db, id)).toEqual(['canceled', 'created'])
  })

  test('while its payment is authorized cancels that', async () => {
    const id = await order()
    const manual = { capture_method: 'manual' }
    await untilStage(await pay(id, undefined, manual), 'authorized')
    expect((await post(`orders/${id}/cancel`)).body.status).toBe('canceled')
    await expectCanceled(id, 'canceled')
    expect(await commandsOf(id)).toEqual(['ord cancel done', 'pay cancel done'])
  })

  test('while its payment is charged, and succeeds all the same, is refunded', async () => {
    const charging = gate()
    shop.use({
      wrap: ({ confirmCharge }) => ({
        async confirmCharge(...args) {
          await charging.pass()
          return confirmCharge(...args)
        },
      }),
    })
    const id = await order()
    await pay(id)
    await charging.isReached()
    expect((await post(`orders/${id}/cancel`)).body.status).toBe('canceled')
    charging.open = true
    await expectCanceled(id, 'refunded')
    expect(await commandsOf(id)).toEqual(['ord cancel done', 'pay cancel refused'])
    expect(await toldOf(db, id)).toEqual(['canceled', 'created']) // it never was paid
  })

  test('while its payment is captured lets that end, and is refunded', async () => {
    const capturing = gate()
    shop.use({
      wrap: ({ captureCharge }) => ({
        async captureCharge(...args) {
          await capturing.pass()
          return captureCharge(...args)
        },
      }),
    })
    const id = await order()
    const paymentId = await pay(id, undefined, { capture_method: 'manual' })
    await untilStage(paymentId, 'authorized')
    const captured = post(`payments/${paymentId}/capture`)
    await capturing.isReached()
    expect((await post(`orders/${id}/cancel`)).body.status).toBe('canceled')
    capturing.open = true
    expect((await captured).body).toMatchObject({ status: 'succeeded', amount_captured: 50_000 })
    await expectCanceled(id, 'refunded')
    expect(await commandsOf(id)).toEqual(['ord cancel done', 'pay capture done'])
  })
})

describe('Of two commands at the same moment', () => {
  test('one is refused, whichever comes second', async () => {
    const { id } = await paidOrder()
    const answers = await Promise.all([post(`orders/${id}/fulfill`), post(`orders/${id}/cancel`)])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
    const end = answers.find(({ status }) => status === 200)?.body.status
    expect(await handleOf(id).result()).toBe(end)
    await expectAgreed(db, id)
  })

  test('both are told the same by the workflow', async () => {
    const { id } = await paidOrder()
    const handle = handleOf(id)
    const [one, other] = await Promise.all([
      handle.executeUpdate(fulfill),
      handle.executeUpdate(cancelOrder),
    ])
    expect(one).toBe(other)
    expect(await handle.result()).toBe(one)
    await expectAgreed(db, id)
  })

  test('the one that came when it was paid does not fail with the one that came too early', async () => {
    const fulfilling = gate()
    shop.use({
      activities: ({ fulfillOrder }) => ({
        async fulfillOrder(id) {
          const found = await fulfillOrder(id)
          await fulfilling.pass()
          return found
        },
      }),
    })
    const id = await order()
    await untilStage(id, 'awaiting_payment')
    const early = handleOf(id).executeUpdate(fulfill)
    await fulfilling.isReached()
    await pay(id)
    await untilOrder(id, 'paid')
    const asked = post(`orders/${id}/fulfill`)
    await until(async () => (await commandsOf(id)).length > 0)
    await pause(500) // until its update has come
    fulfilling.open = true
    expect(await early).not.toBe('fulfilled')
    expect((await asked).body.status).toBe('fulfilled')
    expect(await handleOf(id).result()).toBe('fulfilled')
    await expectAgreed(db, id)
  })
})

test('a cancel overtakes a fulfilment that its order has not begun to record', async () => {
  const claiming = gate()
  shop.use({
    activities: ({ takeUpOrder }) => ({
      async takeUpOrder(id) {
        await claiming.pass()
        return takeUpOrder(id)
      },
    }),
  })
  const id = await order()
  await claiming.isReached()
  const fulfilling = await handleOf(id).startUpdate(fulfill, { waitForStage: 'ACCEPTED' })
  const canceling = await handleOf(id).startUpdate(cancelOrder, { waitForStage: 'ACCEPTED' })
  claiming.open = true
  expect(await fulfilling.result()).toBe('canceled') // "created" if the order had refused it first
  expect(await canceling.result()).toBe('canceled')
  expect(await handleOf(id).result()).toBe('canceled')
  await expectAgreed(db, id)
})

describe("An operator's Cancel is the merchant's", () => {
  test('of an order that nobody has paid', async () => {
    const id = await order()
    await untilStage(id, 'awaiting_payment')
    await handleOf(id).cancel()
    expect(await handleOf(id).result()).toBe('canceled')
    expect(await orderOf(id)).toMatchObject({ cancellationReason: 'requested' })
    await expectAgreed(db, id)
  })

  test('of one that is paid, and of one that is being paid', async () => {
    const { id } = await paidOrder()
    await handleOf(id).cancel()
    await expectCanceled(id, 'refunded')
    const other = await order()
    await untilStage(await pay(other, byVpa('stuck@upi')), 'waiting')
    await handleOf(other).cancel()
    await expectCanceled(other, 'canceled')
  })

  test('while it is refunded changes nothing', async () => {
    const refunding = gate()
    shop.use({
      wrap: ({ createRefund }) => ({
        async createRefund(request) {
          await refunding.pass()
          return createRefund(request)
        },
      }),
    })
    const { id } = await paidOrder()
    await post(`orders/${id}/cancel`)
    await refunding.isReached()
    await handleOf(id).cancel()
    refunding.open = true
    await expectCanceled(id, 'refunded')
  })
})

describe("An operator's Reset", () => {
  test('of an order that waits to be paid, or fulfilled, waits on', async () => {
    const id = await order()
    await untilStage(id, 'awaiting_payment')
    await reset(id)
    await untilStage(id, 'awaiting_payment')
    await pay(id)
    await untilStage(id, 'awaiting_fulfilment')
    await reset(id)
    await untilStage(id, 'awaiting_fulfilment')
    expect((await post(`orders/${id}/fulfill`)).body.status).toBe('fulfilled')
    expect(await handleOf(id).result()).toBe('fulfilled')
    expect(await toldOf(db, id)).toEqual(['created', 'fulfilled', 'paid'])
    await expectAgreed(db, id)
  })

  test('of one that is being refunded refunds it once', async () => {
    const refunding = gate()
    shop.use({
      wrap: ({ createRefund }) => ({
        async createRefund(request) {
          await refunding.pass()
          return createRefund(request)
        },
      }),
    })
    const { id } = await paidOrder()
    await post(`orders/${id}/cancel`)
    await refunding.isReached()
    await reset(id)
    await untilStage(id, 'compensating')
    refunding.open = true
    await expectCanceled(id, 'refunded')
  })

  test('of one that was fulfilled, or canceled and refunded, changes nothing', async () => {
    const [{ id: fulfilled }, { id: canceled }] = [await paidOrder(), await paidOrder()]
    await post(`orders/${fulfilled}/fulfill`)
    await post(`orders/${canceled}/cancel`)
    for (const [id, status] of [
      [fulfilled, 'fulfilled'],
      [canceled, 'canceled'],
    ] as const) {
      expect(await handleOf(id).result()).toBe(status)
      const before = await saleOf(db, id)
      await reset(id)
      expect(await handleOf(id).result()).toBe(status)
      const { commands: _, ...after } = await saleOf(db, id)
      expect(before).toMatchObject(after)
    }
  })
})
