import { findRow } from '../../db/lifecycle-steps.ts'
import { cancelOrder, refundOrder } from '../../db/orders/steps.ts'
import { orders } from '../../db/payments/schema.ts'
import { settlePayment } from '../../db/payments/steps.ts'
import { testDb } from '../support/db.ts'
import { succeed, upi } from '../support/http.ts'
import { settleRefundAs, testTill } from '../transfers/till.ts'

const db = testDb()
const canceled = { status: 'canceled', failureCode: null } as const
const { amount, currency } = upi

/** Opens a shop with a canceled order and payment. The order's compensation has ended. */
async function undoneOrder() {
  const till = await testTill(db)
  const { body: order } = await till.post('orders', { amount, currency })
  const { body: payment } = await till.post('payments', { ...upi, order_id: order.id })
  await cancelOrder(db, order.id, 'requested', new Date())
  await settlePayment(db, payment.id, canceled, { feeBps: 0, now: new Date() })
  const undo = () => refundOrder(db, order.id, new Date())
  expect(await undo()).toBeNull()
  const isCompensating = async () => (await findRow(db, orders, order.id)).isCompensating
  return { ...till, payment, undo, isCompensating }
}

test('a late success for a canceled order is refunded again after its first refund failed', async () => {
  const { payment, undo, isCompensating, sums, get } = await undoneOrder()
  const { refund: first } = await succeed(db, payment.id)
  expect(await isCompensating()).toBe(false) // the refund is pending
  await settleRefundAs(db, first?.id ?? '', 'failed')
  expect(await isCompensating()).toBe(true)
  expect(await sums()).toEqual({ available: amount, held: 0, owed: 0 })

  const second = await undo()
  expect(second).toMatchObject({ paymentId: payment.id, amount, currency })
  expect(await undo()).toMatchObject({ id: second?.id })
  expect(await sums()).toEqual({ available: 0, held: amount, owed: 0 })
  await settleRefundAs(db, second?.id ?? '', 'succeeded')
  expect(await isCompensating()).toBe(true)
  expect(await undo()).toBeNull()
  expect(await isCompensating()).toBe(false)
  const { body } = await get(`payments/${payment.id}`)
  expect(body).toMatchObject({ status: 'canceled', amount_refunded: amount })
})

test('a compensation ends only after the refund of a late success has ended', async () => {
  const { payment, undo } = await undoneOrder()
  const { refund } = await succeed(db, payment.id)
  expect(await undo()).toMatchObject({ id: refund?.id })
  await settleRefundAs(db, refund?.id ?? '', 'succeeded')
  expect(await undo()).toBeNull()
})
