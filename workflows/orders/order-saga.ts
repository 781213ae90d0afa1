import { CancellationScope, condition, proxyActivities, sleep } from '@temporalio/workflow'
import type { Activities } from '../../activities/index.ts'
import type { OrderFound, OrderRecorded, RefundUnderWay } from '../../activities/orders.ts'
import { isOpenStatus } from '../../core/lifecycles/lifecycle.ts'
import {
  type OrderCancellationReason,
  type OrderStatus,
  orderLifecycle,
} from '../../core/lifecycles/order.ts'
import { formatMoney } from '../../core/money/money.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import { refundStart } from '../../temporal/starts.ts'
import {
  activityOptions,
  finish,
  openWebhooks,
  timeIn,
  unlessInterrupted,
  type Webhooks,
} from '../shared/lifecycle.ts'
import { startAbandoned } from '../webhooks/start-deliveries.ts'
import { openCompensations } from './compensations.ts'
import { type OrderInbox, openOrderInbox } from './inbox.ts'

/** No activity has a limit on its retries: a compensation is tried until it succeeds. */
const activities = proxyActivities<Activities>(activityOptions)

const HOUR_MS = 60 * 60_000
const REFUND_RETRY_MAX_MS = 24 * HOUR_MS

type Order = { id: string; inbox: OrderInbox; webhooks: Webhooks }

/**
 * Waits until an order is paid, and then until it is fulfilled. An order that is canceled, or whose
 * deadline passes, is compensated: nobody can pay it any more, a payment on its way is canceled,
 * and what was paid is refunded. `created` are the deliveries of the event that the order was
 * committed with.
 */
export async function orderSaga(orderId: string, created: Delivery[]): Promise<OrderStatus> {
  const inbox = openOrderInbox()
  inbox.enter('awaiting_payment', '**Looking up** the order.')
  return CancellationScope.nonCancellable(async () => {
    const webhooks = openWebhooks(created)
    const order = { id: orderId, inbox, webhooks }
    const compensations = openCompensations((steps) => showCompensating(inbox, steps))
    // Both are registered before the saga waits for a payment. They run backwards, so a payment on
    // its way ends before the refund.
    compensations.register('Refund what was paid', () => refund(order))
    compensations.register('Cancel a payment that is on its way', () => cancelPayment(order))

    const found = await takeUp(orderId)
    const isDecided = !isOpenStatus(orderLifecycle, found.status)
    const end = isDecided ? found : await waitForDecision(order, found)
    inbox.state = { ...inbox.state, status: end.status }
    webhooks.start(end.deliveries)
    const undone = end.isCompensating ? await compensations.run() : []
    return finish(inbox, webhooks, end, describeEnd(end, undone))
  })
}

/** Ends when the merchant has fulfilled or canceled the order, or when its deadline has passed. */
function waitForDecision({ id, inbox }: Order, found: OrderFound): Promise<OrderRecorded> {
  inbox.paymentId ??= found.paymentId
  return CancellationScope.cancellable(async () => {
    const deadline = timeIn(found.dueInMs)
    const summary = 'Cancel the order, unless it is fulfilled by then'
    let isOver = false
    sleep(found.dueInMs, { summary }).then(
      () => {
        isOver = true
      },
      () => {}, // the order was decided before
    )
    try {
      for (;;) {
        const { paymentId, commands } = inbox
        showWaiting(inbox, deadline)
        await condition(() => commands.peek() !== null || isOver || inbox.paymentId !== paymentId)
        const decided = await decide(id, inbox, isOver)
        if (decided) return decided
      }
    } finally {
      CancellationScope.current().cancel()
    }
  })
}

function showCompensating(inbox: OrderInbox, steps: string[]): void {
  const details = ['**Compensating**, because the order is canceled:', '', ...steps].join('\n')
  inbox.enter('compensating', details)
}

function showWaiting(inbox: OrderInbox, deadline: string): void {
  const { paymentId } = inbox
  if (paymentId) inbox.state = { ...inbox.state, status: 'paid' }
  if (paymentId)
    inbox.enter(
      'awaiting_fulfilment',
      `**Paid** by payment \`${paymentId}\`. **Waiting for the merchant to fulfil the order** until ${deadline}. After that, Remit cancels and refunds it.`,
    )
  else
    inbox.enter(
      'awaiting_payment',
      `**Waiting for the payment** until ${deadline}. After that, Remit cancels the order.`,
    )
}

/** Returns null to keep waiting. A command that came before the deadline wins over the deadline. */
async function decide(
  id: string,
  inbox: OrderInbox,
  isOver: boolean,
): Promise<OrderRecorded | null> {
  const kind = inbox.commands.peek()?.kind
  if (kind === 'cancel') return cancel(id, 'requested')
  if (!kind) return isOver ? cancel(id, 'deadline_passed') : null
  inbox.enter('fulfilling', '**Fulfilling**: recording that the merchant has fulfilled the order.')
  inbox.commands.next()
  const order = await fulfill(id)
  if (!isOpenStatus(orderLifecycle, order.status)) return order
  inbox.commands.refuse() // the order is not paid, and so stays open
  return null
}

/** Waits until no payment is on its way: only the provider's verdict says if there is money. */
async function cancelPayment({ id, inbox }: Order): Promise<string> {
  for (;;) {
    inbox.rearm()
    if (await unlessInterrupted(inbox.waiting, () => awaitPaymentEnd(id)))
      return 'no payment is on its way'
  }
}

/**
 * Refunds until all money has gone back. After a refund that fails, a new refund follows an hour
 * later, and then less and less often, until one succeeds or an operator says that the payer has
 * the money.
 */
async function refund({ id, inbox, webhooks }: Order): Promise<string> {
  const given: string[] = []
  for (let failures = 0; ; ) {
    const made = await giveBack(id)
    if (!made) return given.join(', ') || 'nothing is left to refund'
    const { deliveries, ...start } = made
    await startAbandoned(refundStart(start, deliveries))
    inbox.enter('compensating', `**Compensating**: ${describeRefund(made)} is on its way.`)
    if ((await awaitRefundEnd(made)) === 'succeeded') {
      given.push(describeRefund(made))
      continue
    }
    await retryLater(inbox, made, failures++)
    if (!inbox.isResolved) continue
    webhooks.start(await recordManualRefund(id))
    inbox.isResolved = false
    given.push('an operator has given back the rest')
  }
}

async function retryLater(inbox: OrderInbox, made: RefundUnderWay, failures: number) {
  const waitMs = Math.min(HOUR_MS * 2 ** Math.min(failures, 10), REFUND_RETRY_MAX_MS)
  inbox.enter(
    'refund_failed',
    `**Compensating**: ${describeRefund(made)} failed. Remit makes a new refund at ${timeIn(waitMs)}. If you gave the money back in another way, send the update \`resolve\`.`,
  )
  inbox.rearm()
  await unlessInterrupted(inbox.waiting, () =>
    sleep(waitMs, { summary: 'Wait before the next refund' }),
  )
  // `resolve` is refused now: an operator who resolved during the next refund would pay twice.
  if (!inbox.isResolved)
    inbox.enter(
      'compensating',
      '**Compensating**: making a new refund, because the last one failed.',
    )
}

function describeRefund({ id, amount, currency }: RefundUnderWay): string {
  return `refund of ${formatMoney(amount, currency)} in workflow \`${id}\``
}

const reasons: Record<OrderCancellationReason, string> = {
  requested: 'canceled at the request of the merchant',
  deadline_passed: 'canceled, because it was not fulfilled in time',
}

function describeEnd(end: OrderRecorded, undone: string[]): string {
  const { status, paymentId, cancellationReason } = end
  if (status === 'fulfilled') return `fulfilled, and paid by payment \`${paymentId}\``
  const how = cancellationReason ? reasons[cancellationReason] : status
  return undone.length > 0 ? `${how}: ${undone.join('; ')}` : how
}

const takeUp = (id: string) =>
  activities.takeUpOrder.executeWithOptions({ summary: 'Look up the order' }, [id])
const fulfill = (id: string) =>
  activities.fulfillOrder.executeWithOptions({ summary: 'Record: fulfilled' }, [id])
const cancel = (id: string, reason: OrderCancellationReason) =>
  activities.cancelOrder.executeWithOptions({ summary: `Record: ${reasons[reason]}` }, [id, reason])
const awaitPaymentEnd = (id: string) =>
  activities.awaitPaymentEnd.executeWithOptions(
    { summary: 'Undo: cancel an open payment, and wait for its end' },
    [id, true],
  )
const giveBack = (id: string) =>
  activities.refundOrder.executeWithOptions({ summary: 'Undo: refund the captured payment' }, [id])
const awaitRefundEnd = ({ id }: RefundUnderWay) =>
  activities.awaitRefundEnd.executeWithOptions({ summary: `Wait until ${id} has ended` }, [id])
const recordManualRefund = (id: string) =>
  activities.recordManualRefund.executeWithOptions(
    { summary: 'Record: an operator has given back the rest' },
    [id],
  )
