import type { TypedSearchAttributes } from '@temporalio/common'
import type { deliverWebhook } from '../workflows/deliver-webhook.ts'
import type { processPayment } from '../workflows/process-payment.ts'
import type { processPayout } from '../workflows/process-payout.ts'
import type { processRefund } from '../workflows/process-refund.ts'
import type { publishEvent } from '../workflows/publish-event.ts'
import type { CommandKind } from './command.ts'
import type { Delivery } from './delivery.ts'
import type { EventType } from './events.ts'
import { formatMoney } from './money.ts'
import type { PaymentMethod } from './payment.ts'
import type { Destination } from './payout.ts'
import type { TaskQueue } from './queue.ts'
import { searchAttributes } from './search-attributes.ts'

/** The workflows that belong to a merchant: each is started with its `MerchantId`. */
export const merchantWorkflowTypes = [
  'processPayment',
  'processRefund',
  'processPayout',
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

type Payment = {
  id: string
  merchantId: string
  orderId: string | null
  amount: number
  currency: string
  method: PaymentMethod
}

export function paymentStart(
  { id, merchantId, orderId, amount, currency, method }: Payment,
  created: Delivery[],
): Start<Parameters<typeof processPayment>> {
  return {
    workflowType: 'processPayment',
    workflowId: id,
    taskQueue: 'payments',
    args: [id, created],
    staticSummary: `${formatMoney(amount, currency)} ${method} payment`,
    staticDetails: `Merchant \`${merchantId}\`${orderId ? `, order \`${orderId}\`` : ''}`,
    typedSearchAttributes: searchAttributes({ merchantId }),
  }
}

type Refund = {
  id: string
  merchantId: string
  paymentId: string
  amount: number
  currency: string
}

export function refundStart(
  { id, merchantId, paymentId, amount, currency }: Refund,
  created: Delivery[],
): Start<Parameters<typeof processRefund>> {
  return {
    workflowType: 'processRefund',
    workflowId: id,
    taskQueue: 'payments',
    args: [id, created],
    staticSummary: `${formatMoney(amount, currency)} refund`,
    staticDetails: `Merchant \`${merchantId}\`, of payment \`${paymentId}\``,
    typedSearchAttributes: searchAttributes({ merchantId }),
  }
}

type Payout = {
  id: string
  merchantId: string
  amount: number
  currency: string
  destination: { type: Destination['type'] }
}

export function payoutStart(
  { id, merchantId, amount, currency, destination }: Payout,
  created: Delivery[],
): Start<Parameters<typeof processPayout>> {
  const target = destination.type === 'vpa' ? 'UPI address' : 'bank account'
  return {
    workflowType: 'processPayout',
    workflowId: id,
    taskQueue: 'payments',
    args: [id, created],
    staticSummary: `${formatMoney(amount, currency)} payout to a ${target}`,
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
