import { eq } from 'drizzle-orm'
import { sandboxCharges } from '../../providers/sandbox/schema.ts'
import { resolveOrder } from '../../workflows/index.ts'
import { until } from '../support/stack.ts'
import { timeSkippingEnv } from '../support/temporal.ts'
import { balancesOf } from '../transfers/transferring.ts'
import { expectAgreed, saleOf } from './sale-laws.ts'
import { byVpa, HOUR_MS, testSelling } from './selling.ts'

const shop = testSelling(timeSkippingEnv)
const { db, order, pay, post, handleOf, orderOf, untilStage } = shop

const MINUTE_MS = 60_000

/** Returns an order that was paid by `vpa` and then canceled. */
async function canceledOrder(vpa = 'test@upi'): Promise<{ id: string; paymentId: string }> {
  const id = await order()
  const paymentId = await pay(id, byVpa(vpa))
  await untilStage(id, 'awaiting_fulfilment')
  expect((await post(`orders/${id}/cancel`)).status).toBe(200)
  return { id, paymentId }
}

/** `away` makes a provider's call fail for `ms` after the first call, on the workflows' clock. */
function awayFor(ms: number) {
  const calls: number[] = []
  const away = <Args extends unknown[], T>(call: (...args: Args) => Promise<T>) =>
    (async (...args) => {
      calls.push((await shop.now()).getTime())
      const [first = 0] = calls
      if ((calls.at(-1) ?? 0) - first < ms) throw new Error('ECONNREFUSED')
      return call(...args)
    }) as (...args: Args) => Promise<T>
  return { calls, away }
}

/** Returns the attempts of a workflow's pending activity, or 0 before the workflow has begun. */
async function attempts(id: string): Promise<number> {
  const found = await handleOf(id)
    .describe()
    .catch(() => null)
  return Number(found?.raw.pendingActivities?.[0]?.attempt ?? 0)
}

test('A refund is sent again until a provider that is down for an hour accepts it', async () => {
  const { calls, away } = awayFor(HOUR_MS)
  shop.use({ wrap: ({ createRefund }) => ({ createRefund: away(createRefund) }) })
  const { id } = await canceledOrder()
  const [refund] = await until(async () => {
    const { refunds } = await saleOf(db, id)
    return refunds.length > 0 && refunds
  })
  await until(async () => (await attempts(refund?.id ?? '')) > 1, 'a second attempt')
  expect(await orderOf(id)).toMatchObject({ status: 'canceled', isCompensating: true })

  expect(await handleOf(id).result()).toBe('canceled')
  expect(calls.length).toBeGreaterThan(3)
  expect((calls.at(-1) ?? 0) - (calls[0] ?? 0)).toBeGreaterThanOrEqual(HOUR_MS)
  expect((await saleOf(db, id)).refunds).toMatchObject([{ status: 'succeeded', amount: 50_000 }])
  await expectAgreed(db, id)
})

/** Returns an order whose payment is on its way and is never decided by itself. */
async function orderBeingPaid(): Promise<{ id: string; paymentId: string }> {
  const id = await order()
  const paymentId = await pay(id, byVpa('stuck@upi'))
  await untilStage(paymentId, 'waiting')
  return { id, paymentId }
}

test.each([
  ['an hour', 60],
  ['three hours', 180], // after an hour the payment is parked, and its cancel goes on
])(
  'A cancel is sent again until a provider that is down for %s cancels the payment',
  async (_, minutes) => {
    const { id, paymentId } = await orderBeingPaid()
    const { calls, away } = awayFor(minutes * MINUTE_MS)
    shop.use({ wrap: ({ cancelCharge }) => ({ cancelCharge: away(cancelCharge) }) })
    expect((await post(`orders/${id}/cancel`)).body.status).toBe('canceled')
    await until(async () => (await attempts(paymentId)) > 1, 'a second attempt')
    expect(await orderOf(id)).toMatchObject({ status: 'canceled', isCompensating: true })
    expect(await shop.detailsOf(id)).toContain('Cancel a payment that is on its way')

    expect(await handleOf(id).result()).toBe('canceled')
    expect((calls.at(-1) ?? 0) - (calls[0] ?? 0)).toBeGreaterThanOrEqual(minutes * MINUTE_MS)
    expect((await saleOf(db, id)).payments).toMatchObject([{ status: 'canceled' }])
    await expectAgreed(db, id)
  },
)

test('A parked payment is found canceled if the answer to its cancel was lost', async () => {
  const { id, paymentId } = await orderBeingPaid()
  let asked = 0
  shop.use({
    wrap: ({ cancelCharge }) => ({
      async cancelCharge(...args) {
        if (++asked === 1) return { state: 'processing', checkInMs: null }
        await cancelCharge(...args)
        throw new Error('killed')
      },
    }),
  })
  await post(`orders/${id}/cancel`)
  await untilStage(paymentId, 'parked')
  expect(await handleOf(id).result()).toBe('canceled')
  expect(asked).toBe(2)
  expect((await saleOf(db, id)).payments).toMatchObject([{ status: 'canceled' }])
  await expectAgreed(db, id)
})

test('A compensation stays open while the provider neither cancels nor decides the payment', async () => {
  const { id, paymentId } = await orderBeingPaid()
  const undecided = { state: 'processing', checkInMs: null } as const
  shop.use({ wrap: () => ({ cancelCharge: async () => undecided }) })
  await post(`orders/${id}/cancel`)
  await untilStage(paymentId, 'parked')
  expect(await orderOf(id)).toMatchObject({ status: 'canceled', isCompensating: true })
  expect((await saleOf(db, id)).payments).toMatchObject([{ needsAttention: true }])

  const late = { source: 'late@upi', decidesAt: await shop.now() }
  await db.update(sandboxCharges).set(late).where(eq(sandboxCharges.paymentId, paymentId))
  expect(await handleOf(id).result()).toBe('canceled')
  const { payments, refunds } = await saleOf(db, id)
  expect(payments).toMatchObject([{ status: 'succeeded', amountRefunded: 50_000 }])
  expect(refunds).toMatchObject([{ status: 'succeeded', amount: 50_000 }])
  await expectAgreed(db, id)
})

/** The provider declines the first `times` refunds of payments by `norefund@upi`. */
function decliningTimes(times: number) {
  const asked = new Set<string>()
  shop.use({
    wrap: ({ createRefund }) => ({
      async createRefund(request) {
        const { refundId, chargeRef } = request
        if (asked.add(refundId).size > times)
          await db
            .update(sandboxCharges)
            .set({ source: 'test@upi' })
            .where(eq(sandboxCharges.id, chargeRef))
        return createRefund(request)
      },
    }),
  })
}

test('A declined refund is made again, less and less often, until one succeeds', async () => {
  decliningTimes(7)
  const { id } = await canceledOrder('norefund@upi')
  await untilStage(id, 'refund_failed')
  const details = await shop.detailsOf(id)
  expect(details).toMatch(/refund of ₹500.00 in workflow `re_\w+` failed/)
  expect(details).toContain('send the update `resolve`')
  const { refunds: failed, payments: flagged } = await saleOf(db, id)
  expect(failed).toMatchObject([{ status: 'failed', failureCode: 'declined' }])
  expect(flagged).toMatchObject([{ amountRefunded: 0, needsAttention: true }])

  expect(await handleOf(id).result()).toBe('canceled')
  const { refunds } = await saleOf(db, id)
  const inOrder = refunds.sort((one, other) => one.createdAt.getTime() - other.createdAt.getTime())
  expect(inOrder.map(({ status }) => status)).toEqual([...Array(7).fill('failed'), 'succeeded'])
  const waits = inOrder.slice(1).map(({ createdAt }, i) => {
    const before = inOrder[i]?.createdAt.getTime() ?? 0
    return Math.floor((createdAt.getTime() - before) / HOUR_MS)
  })
  expect(waits).toEqual([1, 2, 4, 8, 16, 24, 24])
  await expectAgreed(db, id)
})

test('An operator who repaid the payer in another way ends the compensation with `resolve`', async () => {
  const { id } = await canceledOrder('norefund@upi')
  await untilStage(id, 'refund_failed')
  expect(await handleOf(id).executeUpdate(resolveOrder)).toBe('canceled')
  expect(await handleOf(id).result()).toBe('canceled')
  const { refunds, payments } = await saleOf(db, id)
  expect(refunds.map(({ status, provider }) => `${status} ${provider}`).sort()).toEqual([
    'failed sandbox',
    'succeeded manual',
  ])
  expect(payments).toMatchObject([{ amountRefunded: 50_000 }])
  expect(await balancesOf(db, shop.merchantId())).toMatchObject({ available: 0, held: 0, owed: 0 })
  expect(await shop.detailsOf(id)).toContain('an operator has given back the rest')
  await expectAgreed(db, id)
})

test('`resolve` is refused while a refund is on its way or is being made again', async () => {
  const refused = { cause: { message: expect.stringContaining('refund has failed') } }
  const gate = { open: true }
  shop.use({
    activities: ({ refundOrder }) => ({
      async refundOrder(id) {
        await until(async () => gate.open)
        return refundOrder(id)
      },
    }),
  })
  const { id } = await canceledOrder('norefund@upi')
  await untilStage(id, 'refund_failed')
  gate.open = false
  const passing = shop.temporal.sleep(HOUR_MS + MINUTE_MS)
  await untilStage(id, 'compensating')
  await expect(handleOf(id).executeUpdate(resolveOrder)).rejects.toMatchObject(refused)
  gate.open = true
  await passing
  await untilStage(id, 'refund_failed')
  expect(await handleOf(id).executeUpdate(resolveOrder)).toBe('canceled')
})
