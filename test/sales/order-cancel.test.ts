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

/** Lists the merchant's command for the order, and the command that its payment got. */
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

describe('Canceling an order', () => {
  test('a cancel before the verdict on the payment cancels the payment', async () => {
    const id = await order()
    await untilStage(await pay(id, byVpa('stuck@upi')), 'waiting')
    expect((await post(`orders/${id}/cancel`)).body.status).toBe('canceled')
    await expectCanceled(id, 'canceled')
    expect(await commandsOf(id)).toEqual(['ord cancel done', 'pay cancel done'])
    expect(await toldOf(db, id)).toEqual(['canceled', 'created'])
  })

  test('a cancel while the payment is authorized cancels the payment', async () => {
    const id = await order()
    const manual = { capture_method: 'manual' }
    await untilStage(await pay(id, undefined, manual), 'authorized')
    expect((await post(`orders/${id}/cancel`)).body.status).toBe('canceled')
    await expectCanceled(id, 'canceled')
    expect(await commandsOf(id)).toEqual(['ord cancel done', 'pay cancel done'])
  })

  test('a cancel while the payment is charged leads to a refund if the charge succeeds', async () => {
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
    expect(await toldOf(db, id)).toEqual(['canceled', 'created']) // never "paid"
  })

  test('a cancel while the payment is captured lets the capture end, and leads to a refund', async () => {
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

describe('Two commands for an order at the same moment', () => {
  test('the second of a fulfill and a cancel is refused with 409', async () => {
    const { id } = await paidOrder()
    const answers = await Promise.all([post(`orders/${id}/fulfill`), post(`orders/${id}/cancel`)])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
    const end = answers.find(({ status }) => status === 200)?.body.status
    expect(await handleOf(id).result()).toBe(end)
    await expectAgreed(db, id)
  })

  test('the workflow answers two updates with the same status', async () => {
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

  test('a fulfill of a paid order is done although an earlier fulfill came before the payment', async () => {
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
    await pause(500) // the update arrives meanwhile
    fulfilling.open = true
    expect(await early).not.toBe('fulfilled')
    expect((await asked).body.status).toBe('fulfilled')
    expect(await handleOf(id).result()).toBe('fulfilled')
    await expectAgreed(db, id)
  })
})

test('a cancel overtakes a fulfill that the saga has not begun to record', async () => {
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
  expect(await fulfilling.result()).toBe('canceled') // "created" if refused before the cancel
  expect(await canceling.result()).toBe('canceled')
  expect(await handleOf(id).result()).toBe('canceled')
  await expectAgreed(db, id)
})

describe("An operator's Cancel works like the merchant's cancel", () => {
  test('a Cancel by an operator cancels an unpaid order', async () => {
    const id = await order()
    await untilStage(id, 'awaiting_payment')
    await handleOf(id).cancel()
    expect(await handleOf(id).result()).toBe('canceled')
    expect(await orderOf(id)).toMatchObject({ cancellationReason: 'requested' })
    await expectAgreed(db, id)
  })

  test('a Cancel by an operator refunds a paid order, and cancels a payment that is on its way', async () => {
    const { id } = await paidOrder()
    await handleOf(id).cancel()
    await expectCanceled(id, 'refunded')
    const other = await order()
    await untilStage(await pay(other, byVpa('stuck@upi')), 'waiting')
    await handleOf(other).cancel()
    await expectCanceled(other, 'canceled')
  })

  test('a Cancel by an operator changes nothing while the order is refunded', async () => {
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
  test('a Reset leaves an order waiting for its payment or its fulfilment', async () => {
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

  test('a Reset during the refund of an order leads to one refund', async () => {
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

  test('a Reset changes nothing for an order that was fulfilled, or canceled and refunded', async () => {
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
