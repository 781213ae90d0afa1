import { eq } from 'drizzle-orm'
import { openOrderCommand } from '../../db/orders/orders.ts'
import type { RefundRow } from '../../db/refunds/refunds.ts'
import { sandboxTransfers } from '../../providers/sandbox/schema.ts'
import { until } from '../support/stack.ts'
import { timeSkippingEnv } from '../support/temporal.ts'
import { balancesOf } from '../transfers/transferring.ts'
import { expectAgreed, saleOf, toldOf } from './sale-laws.ts'
import { byVpa, testSelling, WEEK_MS } from './selling.ts'

const shop = testSelling(timeSkippingEnv)
const { db, order, pay, post, handleOf, orderOf, untilStage } = shop

/** With this delay the provider takes long enough that the saga has to wait. */
const LONG_MS = 10 * 60_000

/** Returns an order that is paid and waits for its fulfilment. */
async function paidOrder(source?: object): Promise<{ id: string; paymentId: string }> {
  const id = await order()
  const paymentId = await pay(id, source)
  await untilStage(id, 'awaiting_fulfilment')
  return { id, paymentId }
}

const balances = () => balancesOf(db, shop.merchantId())

test('An order that is paid and then fulfilled ends with status "fulfilled"', async () => {
  const { id, paymentId } = await paidOrder()
  expect((await post(`orders/${id}/fulfill`)).body).toMatchObject({ status: 'fulfilled' })
  expect(await handleOf(id).result()).toBe('fulfilled')
  expect(await orderOf(id)).toMatchObject({ paymentId, nextSweepAt: null })
  expect(await toldOf(db, id)).toEqual(['created', 'fulfilled', 'paid'])
  await expectAgreed(db, id)
})

test('An unpaid order is canceled at its deadline', async () => {
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

test('An unpaid order can be canceled, and a payment for it is then refused', async () => {
  const id = await order()
  const { status, body } = await post(`orders/${id}/cancel`)
  expect([status, body.status, body.cancellation_reason]).toEqual([200, 'canceled', 'requested'])
  expect(await handleOf(id).result()).toBe('canceled')
  await expect(pay(id)).rejects.toThrow('The order is canceled')
  expect((await saleOf(db, id)).payments).toEqual([])
  expect(await toldOf(db, id)).toEqual(['canceled', 'created'])
  await expectAgreed(db, id)
})

test('A paid order that is canceled is refunded, and a later fulfill is refused with 409', async () => {
  const { id, paymentId } = await paidOrder()
  const { status, body } = await post(`orders/${id}/cancel`)
  expect([status, body.status, body.cancellation_reason]).toEqual([200, 'canceled', 'requested'])
  expect((await post(`orders/${id}/fulfill`)).status).toBe(409)
  expect(await handleOf(id).result()).toBe('canceled')
  const { refunds, commands } = await saleOf(db, id)
  expect(refunds).toMatchObject([{ status: 'succeeded', amount: 50_000, paymentId }])
  expect(commands).toMatchObject([{ kind: 'cancel', status: 'done' }])
  expect(await toldOf(db, id)).toEqual(['canceled', 'created', 'paid'])
  await expectAgreed(db, id)
})

/** Returns the amount and the status of each refund, oldest first. */
async function refundsOf(id: string): Promise<[number, RefundRow['status']][]> {
  const { refunds } = await saleOf(db, id)
  const inOrder = refunds.sort((one, other) => (one.id < other.id ? -1 : 1))
  return inOrder.map(({ amount, status }) => [amount, status])
}

test('The saga refunds only what the merchant has not refunded before', async () => {
  const { id, paymentId } = await paidOrder()
  const { body } = await post(`payments/${paymentId}/refunds`, { amount: 20_000 })
  await untilStage(body.id, 'done')
  await post(`orders/${id}/cancel`)
  expect(await handleOf(id).result()).toBe('canceled')
  expect(await refundsOf(id)).toEqual([
    [20_000, 'succeeded'],
    [30_000, 'succeeded'],
  ])
  await expectAgreed(db, id)
})

test('The saga makes no refund if the merchant has refunded the payment in full', async () => {
  const { id, paymentId } = await paidOrder()
  const { body } = await post(`payments/${paymentId}/refunds`, { amount: 50_000 })
  await untilStage(body.id, 'done')
  expect(await handleOf(id).result()).toBe('canceled')
  expect(await refundsOf(id)).toEqual([[50_000, 'succeeded']])
  await expectAgreed(db, id)
})

test("The saga waits for the merchant's own refund that is on its way", async () => {
  const { id, paymentId } = await paidOrder()
  shop.use({ delayMs: LONG_MS })
  const { body } = await post(`payments/${paymentId}/refunds`, { amount: 20_000 })
  await untilStage(body.id, 'waiting')
  shop.use({})
  await post(`orders/${id}/cancel`)
  expect(await orderOf(id)).toMatchObject({ status: 'canceled', isCompensating: true })
  expect(await handleOf(id).result()).toBe('canceled')
  expect(await refundsOf(id)).toEqual([
    [20_000, 'succeeded'],
    [30_000, 'succeeded'],
  ])
  await expectAgreed(db, id)
})

/** Makes the provider decline a refund that is on its way. */
function decline(refundId: string) {
  const { objectId } = sandboxTransfers
  return db.update(sandboxTransfers).set({ target: 'norefund@upi' }).where(eq(objectId, refundId))
}

test("The merchant's own refund that fails is made again by the saga an hour later", async () => {
  const { id, paymentId } = await paidOrder()
  shop.use({ delayMs: LONG_MS })
  const { body } = await post(`payments/${paymentId}/refunds`, { amount: 20_000 })
  await untilStage(body.id, 'waiting')
  await decline(body.id)
  shop.use({})
  await post(`orders/${id}/cancel`)
  expect(await handleOf(id).result()).toBe('canceled')
  expect(await refundsOf(id)).toEqual([
    [20_000, 'failed'],
    [30_000, 'succeeded'],
    [20_000, 'succeeded'],
  ])
  const { payments } = await saleOf(db, id)
  expect(payments).toMatchObject([{ amountRefunded: 50_000, needsAttention: true }])
  await expectAgreed(db, id)
})

test('A refund at the deadline that the balance does not cover becomes a debt of the merchant', async () => {
  const { id } = await paidOrder()
  const destination = { type: 'vpa', vpa: 'test@upi' }
  const { body } = await post('payouts', { amount: 40_000, currency: 'INR', destination })
  await untilStage(body.id, 'done')
  expect((await post(`orders/${id}/cancel`)).body.error.code).toBe('insufficient_balance')
  expect(await handleOf(id).result()).toBe('canceled')
  expect(await orderOf(id)).toMatchObject({ cancellationReason: 'deadline_passed' })
  expect(await balances()).toMatchObject({ available: 0, held: 0, owed: 40_000 })
  await expectAgreed(db, id)
})

test('An order whose payment failed can be paid by another payment', async () => {
  const id = await order()
  const failed = await pay(id, byVpa('fail@upi'))
  await untilStage(failed, 'done')
  const paymentId = await pay(id)
  await untilStage(id, 'awaiting_fulfilment')
  await post(`orders/${id}/fulfill`)
  expect(await handleOf(id).result()).toBe('fulfilled')
  expect(await orderOf(id)).toMatchObject({ paymentId })
  await expectAgreed(db, id)
})

/** Stores a command whose update never reaches the workflow. */
function askInVain(id: string, kind: 'fulfill' | 'cancel') {
  return db.transaction((tx) => openOrderCommand(tx, shop.merchantId(), id, { kind }, new Date()))
}

test('A command stored before the deadline wins, even if its update was lost', async () => {
  const [{ id: fulfilled }, { id: canceled }] = [await paidOrder(), await paidOrder()]
  await askInVain(fulfilled, 'fulfill')
  await askInVain(canceled, 'cancel')
  expect(await handleOf(fulfilled).result()).toBe('fulfilled')
  expect(await handleOf(canceled).result()).toBe('canceled')
  expect(await orderOf(canceled)).toMatchObject({ cancellationReason: 'requested' })
  for (const id of [fulfilled, canceled]) {
    expect((await saleOf(db, id)).commands).toMatchObject([{ status: 'done' }])
    await expectAgreed(db, id)
  }
})

test("A merchant's refund of a fulfilled order that fails starts no compensation", async () => {
  const { id, paymentId } = await paidOrder(byVpa('norefund@upi'))
  await post(`orders/${id}/fulfill`)
  expect(await handleOf(id).result()).toBe('fulfilled')
  const { body } = await post(`payments/${paymentId}/refunds`, { amount: 20_000 })
  await untilStage(body.id, 'done')
  expect(await refundsOf(id)).toEqual([[20_000, 'failed']])
  expect(await orderOf(id)).toMatchObject({ isCompensating: false, nextSweepAt: null })
  expect((await saleOf(db, id)).payments).toMatchObject([{ needsAttention: false }])
  await expectAgreed(db, id)
})

test('The query `state` and the details of a saga name its current stage', async () => {
  const stateOf = (id: string) => handleOf(id).query('state')
  const id = await order()
  await untilStage(id, 'awaiting_payment')
  expect(await stateOf(id)).toEqual({ stage: 'awaiting_payment', status: 'created' })
  const deadline = (await orderOf(id)).fulfilBy.toISOString().slice(0, 10)
  await untilDetails(id, `Waiting for the payment** until ${deadline}`)
  const paymentId = await pay(id)
  await untilStage(id, 'awaiting_fulfilment')
  expect(await stateOf(id)).toEqual({ stage: 'awaiting_fulfilment', status: 'paid' })
  expect(await shop.detailsOf(id)).toContain(`**Paid** by payment \`${paymentId}\``)
  expect(await shop.detailsOf(id)).toContain(`until ${deadline}`)

  shop.use({ delayMs: LONG_MS })
  await post(`orders/${id}/cancel`)
  const [refund] = await until(async () => {
    const { refunds } = await saleOf(db, id)
    return refunds.length > 0 && refunds
  })
  await untilDetails(id, `refund of ₹500.00 in workflow \`${refund?.id}\` is on its way`)
  expect(await stateOf(id)).toEqual({ stage: 'compensating', status: 'canceled' })
  await handleOf(id).result()
  const end = await shop.detailsOf(id)
  expect(end).toContain('**Done**: canceled at the request of the merchant')
  expect(end).toContain(`refund of ₹500.00 in workflow \`${refund?.id}\``)
  expect(await stateOf(id)).toEqual({ stage: 'done', status: 'canceled' })
})

const untilDetails = (id: string, text: string) =>
  until(async () => (await shop.detailsOf(id)).includes(text), `${id} to say: ${text}`)
