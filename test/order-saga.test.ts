import { insertTopup } from '../db/balance.ts'
import { expectAgreed, saleOf, toldOf } from './sale-laws.ts'
import { DAY_MS, testSelling, WEEK_MS } from './selling.ts'
import { timeSkippingEnv } from './temporal.ts'
import { balancesOf } from './transferring.ts'

const shop = testSelling(timeSkippingEnv)
const { db, order, pay, post, handleOf, orderOf, untilOrder, untilStage } = shop

/** That has its money. */
async function paidOrder(source: object = {}): Promise<{ id: string; paymentId: string }> {
  const id = await order()
  const paymentId = await pay(id, source)
  await untilStage(id, 'awaiting_fulfilment')
  return { id, paymentId }
}

const balances = () => balancesOf(db, shop.merchantId())

test('An order that is paid and then fulfilled ends so', async () => {
  const { id, paymentId } = await paidOrder()
  expect((await post(`orders/${id}/fulfill`)).body).toMatchObject({ status: 'fulfilled' })
  expect(await handleOf(id).result()).toBe('fulfilled')
  expect(await orderOf(id)).toMatchObject({ paymentId, nextSweepAt: null })
  expect(await toldOf(db, id)).toEqual(['created', 'fulfilled', 'paid'])
  await expectAgreed(db, id)
})

test('An order that nobody pays is canceled at its deadline', async () => {
  const id = await order()
  expect(await handleOf(id).result()).toBe('canceled')
  const { fulfilBy, updatedAt, cancellationReason } = await orderOf(id)
  expect(cancellationReason).toBe('deadline_passed')
  expect(updatedAt.getTime() - fulfilBy.getTime()).toBeGreaterThanOrEqual(0)
  expect(updatedAt.getTime() - fulfilBy.getTime()).toBeLessThan(60_000)
  expect((await saleOf(db, id)).refunds).toEqual([])
  expect(await toldOf(db, id)).toEqual(['canceled', 'created'])
  await expectAgreed(db, id)
})

test('An order that is paid and not fulfilled for seven days is refunded and canceled', async () => {
  const { id, paymentId } = await paidOrder()
  expect(await handleOf(id).result()).toBe('canceled')
  const { row, refunds } = await saleOf(db, id)
  expect(row).toMatchObject({ cancellationReason: 'deadline_passed', paymentId })
  expect(row.updatedAt.getTime() - row.createdAt.getTime()).toBeGreaterThanOrEqual(WEEK_MS)
  expect(refunds).toMatchObject([{ status: 'succeeded', amount: 50_000, paymentId }])
  expect(await toldOf(db, id)).toEqual(['canceled', 'created', 'paid'])
  expect(await balances()).toMatchObject({ available: 0, held: 0, owed: 0 })
  await expectAgreed(db, id)
})
