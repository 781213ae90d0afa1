import type { TypedSearchAttributes } from '@temporalio/common'
import type { applyInboundEvent } from '../workflows/apply-inbound-event.ts'
import type { deliverWebhook } from '../workflows/deliver-webhook.ts'
import type { orderSaga } from '../workflows/order-saga.ts'
import type { paymentLinkLifecycle } from '../workflows/payment-link-lifecycle.ts'
import type { processPayment } from '../workflows/process-payment.ts'
import type { processPayout } from '../workflows/process-payout.ts'
import type { processRefund } from '../workflows/process-refund.ts'
import type { publishEvent } from '../workflows/publish-event.ts'
import type { CommandKind } from '../core/command.ts'
import type { Delivery } from '../core/delivery.ts'
import type { EventType } from '../core/events.ts'
import { formatMoney } from '../core/money.ts'
import type { PaymentMethod } from '../core/payment.ts'
import type { Destination } from '../core/payout.ts'
import type { TaskQueue } from './queues.ts'
import { searchAttributes } from './search-attributes.ts'

/** The workflows that belong to a merchant: each is started with its `MerchantId`. */
export const merchantWorkflowTypes = [
  'processPayment',
  'processRefund',
  'processPayout',
  'orderSaga',
  'paymentLinkLifecycle',
  'applyInboundEvent',
  'publishEvent',
  'deliverWebhook',
] as const

/**
 * How a workflow is started, by whoever does it: the API, the sweep or a parent. The id is that of
 * its row, and is rejected when it has run before.
 */
export type Start<Args extends unknown[] = unknown[]> = {
  workflowType: (typeof merchantWorkflowTypes)[number]
  workflowId: string
  taskQueue: TaskQueue
  args: Args
  staticSummary: string // what it is, in words
  staticDetails?: string // whose it is
  typedSearchAttributes: TypedSearchAttributes
}

/** What a lifecycle of money is started with: its id, and the deliveries of its first event. */
type LifecycleArgs = [id: string, created: Delivery[]]
type Money = { id: string; merchantId: string; amount: number; currency: string }

/** `what` it is, after its amount, and `whose`, after its merchant. */
function lifecycleStart(
  workflowType: Start['workflowType'],
  { id, merchantId, amount, currency }: Money,
  created: Delivery[],
  { what, whose = '' }: { what: string; whose?: string },
): Start<LifecycleArgs> {
  return {
    workflowType,
    workflowId: id,
    taskQueue: 'payments',
    args: [id, created],
    staticSummary: `${formatMoney(amount, currency)} ${what}`,
    staticDetails: `Merchant \`${merchantId}\`${whose}`,
    typedSearchAttributes: searchAttributes({ merchantId }),
  }
}

type Payment = Money & { orderId: string | null; method: PaymentMethod }

export function paymentStart(
  payment: Payment,
  created: Delivery[],
): Start<Parameters<typeof processPayment>> {
  const { method, orderId } = payment
  const whose = orderId ? `, order \`${orderId}\`` : ''
  return lifecycleStart('processPayment', payment, created, { what: `${method} payment`, whose })
}

export function refundStart(
  refund: Money & { paymentId: string },
  created: Delivery[],
): Start<Parameters<typeof processRefund>> {
  const whose = `, of payment \`${refund.paymentId}\``
  return lifecycleStart('processRefund', refund, created, { what: 'refund', whose })
}

export function payoutStart(
  payout: Money & { destination: Pick<Destination, 'type'> },
  created: Delivery[],
): Start<Parameters<typeof processPayout>> {
  const target = payout.destination.type === 'vpa' ? 'UPI address' : 'bank account'
  return lifecycleStart('processPayout', payout, created, { what: `payout to a ${target}` })
}

export function orderStart(order: Money, created: Delivery[]): Start<Parameters<typeof orderSaga>> {
  return lifecycleStart('orderSaga', order, created, { what: 'order' })
}

export function paymentLinkStart(
  link: Money,
  created: Delivery[],
): Start<Parameters<typeof paymentLinkLifecycle>> {
  return lifecycleStart('paymentLinkLifecycle', link, created, { what: 'payment link' })
}

type InboundEvent = { id: string; merchantId: string; invoiceId: string }

export function inboundEventStart(
  event: InboundEvent,
): Start<Parameters<typeof applyInboundEvent>> {
  const { id, merchantId, invoiceId } = event
  return {
    workflowType: 'applyInboundEvent',
    workflowId: id,
    taskQueue: 'payments',
    args: [id],
    staticSummary: `Payment event for invoice ${invoiceId}`,
    staticDetails: `Merchant \`${merchantId}\``,
    typedSearchAttributes: searchAttributes({ merchantId }),
  }
}

/**
 * How a command is told to its workflow. The id is that of its row, and is heard once. With `again` it
 * is meant for a workflow that has ended, too: another run takes it up.
 */
export type Update = { id: string; name: CommandKind; args: unknown[]; again: boolean }

type Command = { id: string; kind: CommandKind; amount: number | null }

export function commandUpdate({ id, kind, amount }: Command): Update {
  const args = kind === 'capture' ? [amount] : []
  return { id, name: kind, args, again: kind === 'fail' }
}

export function deliveryStart(delivery: Delivery): Start<Parameters<typeof deliverWebhook>> {
  const { id, merchantId, endpointId, eventType } = delivery
  return {
    workflowType: 'deliverWebhook',
    workflowId: id,
    taskQueue: 'webhooks',
    args: [delivery],
    staticSummary: deliverySummary(delivery),
    typedSearchAttributes: searchAttributes({ merchantId, endpointId, eventType }),
  }
}

export function deliverySummary({ eventType, host }: Delivery): string {
  return `${eventType} → ${host}`
}

type Published = { id: string; type: EventType; merchantId: string; deliveries: Delivery[] }

export function eventStart({
  id,
  type,
  merchantId,
  deliveries,
}: Published): Start<Parameters<typeof publishEvent>> {
  return {
    workflowType: 'publishEvent',
    workflowId: id,
    taskQueue: 'webhooks',
    args: [deliveries],
    staticSummary: `${type} → ${deliveries.length} endpoint${deliveries.length === 1 ? '' : 's'}`,
    typedSearchAttributes: searchAttributes({ merchantId, eventType: type }),
  }
}
