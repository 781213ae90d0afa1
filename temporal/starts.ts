import type { TypedSearchAttributes } from '@temporalio/common'
import type { CommandKind } from '../core/lifecycles/command.ts'
import { type LifecycleName, lifecycleNames, lifecycles } from '../core/lifecycles/index.ts'
import type { PaymentMethod } from '../core/lifecycles/payment.ts'
import type { Destination } from '../core/lifecycles/payout.ts'
import { formatMoney } from '../core/money/money.ts'
import type { Delivery } from '../core/webhooks/delivery.ts'
import type { EventType } from '../core/webhooks/events.ts'
import type { TaskQueue } from './queues.ts'
import { searchAttributes } from './search-attributes.ts'

/** A lifecycle's workflow gets the id of its row, and the deliveries of the row's first event. */
type LifecycleArgs = [id: string, created: Delivery[]]

type Lifecycles = typeof lifecycles
/** If a lifecycle has no events, its workflow gets only the id. */
type ArgsOf<Name extends LifecycleName> = [keyof Lifecycles[Name]['events']] extends [never]
  ? [id: string]
  : LifecycleArgs

/**
 * Maps each type of workflow that belongs to a merchant to its input. Each start carries the search
 * attribute `MerchantId`.
 */
export type WorkflowArgs = {
  [Name in LifecycleName as Lifecycles[Name]['workflow']]: ArgsOf<Name>
} & {
  publishEvent: [deliveries: Delivery[]]
  deliverWebhook: [delivery: Delivery]
}
type WorkflowType = keyof WorkflowArgs

export const merchantWorkflowTypes: WorkflowType[] = [
  ...lifecycleNames.map((name) => lifecycles[name].workflow),
  'publishEvent',
  'deliverWebhook',
]

/**
 * The API, the sweep or a parent starts a workflow with these options. `workflowId` is the id of
 * the row. A caller decides whether an id that has run before is rejected or runs again.
 */
export type Start<Type extends WorkflowType = WorkflowType> = {
  workflowType: Type
  workflowId: string
  taskQueue: TaskQueue
  args: WorkflowArgs[Type]
  staticSummary: string // says in words what the workflow does
  staticDetails?: string // says whose workflow it is
  typedSearchAttributes: TypedSearchAttributes
}

type Money = { id: string; merchantId: string; amount: number; currency: string }

type LifecycleType = {
  [Type in WorkflowType]: WorkflowArgs[Type] extends LifecycleArgs ? Type : never
}[WorkflowType]

/** `what` follows the amount in the summary, `whose` follows the merchant in the details. */
function lifecycleStart<Type extends LifecycleType>(
  workflowType: Type,
  { id, merchantId, amount, currency }: Money,
  created: Delivery[],
  { what, whose = '' }: { what: string; whose?: string },
): Start<Type> {
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

export function paymentStart(payment: Payment, created: Delivery[]): Start<'processPayment'> {
  const { method, orderId } = payment
  const whose = orderId ? `, order \`${orderId}\`` : ''
  return lifecycleStart('processPayment', payment, created, { what: `${method} payment`, whose })
}

export function refundStart(
  refund: Money & { paymentId: string },
  created: Delivery[],
): Start<'processRefund'> {
  const whose = `, of payment \`${refund.paymentId}\``
  return lifecycleStart('processRefund', refund, created, { what: 'refund', whose })
}

export function payoutStart(
  payout: Money & { destination: Pick<Destination, 'type'> },
  created: Delivery[],
): Start<'processPayout'> {
  const target = payout.destination.type === 'vpa' ? 'UPI address' : 'bank account'
  return lifecycleStart('processPayout', payout, created, { what: `payout to a ${target}` })
}

export function orderStart(order: Money, created: Delivery[]): Start<'orderSaga'> {
  return lifecycleStart('orderSaga', order, created, { what: 'order' })
}

export function paymentLinkStart(link: Money, created: Delivery[]): Start<'paymentLinkLifecycle'> {
  return lifecycleStart('paymentLinkLifecycle', link, created, { what: 'payment link' })
}

type InboundEvent = { id: string; merchantId: string; invoiceId: string }

export function inboundEventStart(event: InboundEvent): Start<'applyInboundEvent'> {
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

/** Returns how to start a lifecycle's workflow. `created` are the deliveries of its first event. */
export const starts = {
  payments: paymentStart,
  refunds: refundStart,
  paymentLinks: paymentLinkStart,
  payouts: payoutStart,
  orders: orderStart,
  inboundEvents: inboundEventStart,
} satisfies Record<LifecycleName, (row: never, created: Delivery[]) => Start>

/**
 * A command reaches its workflow as this update. `id` is the id of the command's row, so a run
 * takes the command once. With `again`, `executeUpdate` gives the command to another run if the
 * workflow has ended.
 */
export type Update = { id: string; name: CommandKind; args: unknown[]; again: boolean }

type Command = { id: string; kind: CommandKind; amount: number | null }

export function commandUpdate({ id, kind, amount }: Command): Update {
  const args = kind === 'capture' ? [amount] : []
  return { id, name: kind, args, again: kind === 'fail' }
}

export function deliveryStart(delivery: Delivery): Start<'deliverWebhook'> {
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

export function eventStart({ id, type, merchantId, deliveries }: Published): Start<'publishEvent'> {
  return {
    workflowType: 'publishEvent',
    workflowId: id,
    taskQueue: 'webhooks',
    args: [deliveries],
    staticSummary: `${type} → ${deliveries.length} endpoint${deliveries.length === 1 ? '' : 's'}`,
    typedSearchAttributes: searchAttributes({ merchantId, eventType: type }),
  }
}
