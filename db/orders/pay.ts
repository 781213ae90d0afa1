import { AppError } from '../../core/errors.ts'
import type { Tx } from '../client.ts'
import { findPaymentOf, insertPayment, type NewPayment } from '../payments/payments.ts'
import { findOpenCommand } from '../requests/commands.ts'
import { lockOrder } from './orders.ts'

/**
 * Inserts a payment for an order, as `insertPayment` does. `orderId` is the order's id or the
 * merchant's own reference. Throws AppError when the order can't be paid.
 */
export async function insertOrderPayment(
  tx: Tx,
  values: NewPayment & { orderId: string },
  now: Date,
) {
  const order = await orderToPay(tx, values, now)
  return insertPayment(tx, { ...values, orderId: order.id }, now)
}

type ToPay = Pick<NewPayment, 'merchantId' | 'amount' | 'currency'> & { orderId: string }

/** Locks the order, so that the second of two payments at the same moment sees the first. */
async function orderToPay(tx: Tx, { merchantId, orderId, amount, currency }: ToPay, now: Date) {
  const order = await lockOrder(tx, merchantId, orderId)
  if (!order)
    throw new AppError('order_not_found', `No such order: ${orderId}`, { param: 'order_id' })
  if (order.status !== 'created') throw orderRefusal(order.status)
  const isOver = order.fulfilBy <= now || (await findOpenCommand(tx, order.id, 'cancel'))
  if (isOver) throw orderRefusal('canceled') // the saga of the order is about to cancel it
  for (const param of ['amount', 'currency'] as const) {
    if (order[param] === { amount, currency }[param]) continue
    const message = `The order's ${param} is ${order[param]}.`
    throw new AppError('order_mismatch', message, { param })
  }
  if (await findPaymentOf(tx, order.id)) {
    const message = 'Another payment for this order is in progress.'
    throw new AppError('order_payment_in_progress', message, { param: 'order_id' })
  }
  return order
}

function orderRefusal(status: 'paid' | 'fulfilled' | 'canceled'): AppError {
  if (status === 'canceled')
    return new AppError('conflict', 'The order is canceled.', { param: 'order_id' })
  return new AppError('order_already_paid', 'The order is paid.', { param: 'order_id' })
}
