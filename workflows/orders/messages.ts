import { defineQuery, defineUpdate } from '@temporalio/workflow'
import type { OrderStatus } from '../../core/lifecycles/order.ts'

/**
 * The merchant's commands. Each answers with the order's status when the command is done, or has
 * come too late.
 */
export const fulfill = defineUpdate<OrderStatus>('fulfill')
export const cancelOrder = defineUpdate<OrderStatus>('cancel')

/** An operator gave back, in another way, the money that the provider's refund could not. */
export const resolveOrder = defineUpdate<OrderStatus>('resolve')

export type OrderStage =
  | 'awaiting_payment'
  | 'awaiting_fulfilment'
  | 'fulfilling'
  | 'compensating'
  | 'refund_failed'
  | 'done'
type OrderState = { stage: OrderStage; status: OrderStatus }
export const orderState = defineQuery<OrderState>('state')
