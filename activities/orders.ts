import type { OrderCancellationReason } from '../core/lifecycles/order.ts'
import type { RefundStatus } from '../core/lifecycles/refund.ts'
import type { Delivery } from '../core/webhooks/delivery.ts'
import type { Db } from '../db/client.ts'
import { claimRow, findRow } from '../db/lifecycle-steps.ts'
import {
  cancelOrder,
  fulfillOrder,
  type OrderRecorded,
  type RefundUnderWay,
  recordManualRefund,
  refundOrder,
} from '../db/orders/steps.ts'
import { orders } from '../db/payments/schema.ts'
import { refunds } from '../db/refunds/schema.ts'
import type { Now } from './now.ts'
import { untilEnded } from './provider/provider-calls.ts'

export type { OrderRecorded, RefundUnderWay }

/** An order as its saga finds it. `dueInMs` is the time left until `fulfilBy`, never below 0. */
export type OrderFound = OrderRecorded & { dueInMs: number }

/** A repeated call finds its work done and returns the first result again. */
export function orderActivities({ db, now }: { db: Db; now: Now }) {
  return {
    async takeUpOrder(orderId: string): Promise<OrderFound> {
      const order = await claimRow(db, orders, orderId)
      const { status, paymentId, cancellationReason, isCompensating, fulfilBy } = order
      const dueInMs = Math.max(fulfilBy.getTime() - (await now()).getTime(), 0)
      return { status, paymentId, cancellationReason, isCompensating, dueInMs, deliveries: [] }
    },

    async fulfillOrder(orderId: string): Promise<OrderRecorded> {
      return fulfillOrder(db, orderId, await now())
    },

    async cancelOrder(orderId: string, reason: OrderCancellationReason): Promise<OrderRecorded> {
      return cancelOrder(db, orderId, reason, await now())
    },

    async refundOrder(orderId: string): Promise<RefundUnderWay | null> {
      return refundOrder(db, orderId, await now())
    },

    async awaitRefundEnd(refundId: string): Promise<RefundStatus> {
      return untilEnded(async () => {
        const { status } = await findRow(db, refunds, refundId)
        return status === 'pending' ? null : status
      })
    },

    async recordManualRefund(orderId: string): Promise<Delivery[]> {
      return recordManualRefund(db, orderId, await now())
    },
  }
}
