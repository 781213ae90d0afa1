import { CancellationScope, proxyActivities, setHandler } from '@temporalio/workflow'
import type { Activities } from '../../activities/index.ts'
import type { RefundSettled } from '../../activities/refunds.ts'
import {
  type RefundStatus,
  type RefundVerdict,
  refundLifecycle,
} from '../../core/lifecycles/refund.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import { handleResolve, openInbox } from '../shared/inbox.ts'
import {
  activityOptions,
  describeVerdict,
  finish,
  openWebhooks,
  PARKED_DETAILS,
  PROVIDER_WINDOW_MS,
  settlingDetails,
  unlessInterrupted,
  windowEnd,
  withinWindow,
} from '../shared/lifecycle.ts'
import { type RefundStage, refundState, resolveRefund } from './messages.ts'

const { sendRefund, pollRefund, settleRefund, parkRefund } =
  proxyActivities<Activities>(activityOptions)
const { sendRefund: sendRefundInTime } = proxyActivities<Activities>({
  ...activityOptions,
  scheduleToCloseTimeout: PROVIDER_WINDOW_MS,
})

type Inbox = ReturnType<typeof openRefundInbox>

/**
 * Sends a refund, waits for the provider's verdict, and records it. `created` are the deliveries of
 * the event that the refund was committed with. A Cancel in the Web UI does nothing: a refund is a
 * promise.
 */
export async function processRefund(refundId: string, created: Delivery[]): Promise<RefundStatus> {
  return CancellationScope.nonCancellable(async () => {
    const inbox = openRefundInbox()
    inbox.enter('refunding', '**Refunding** at the provider.')
    const webhooks = openWebhooks(created)

    const sent = await unlessInterrupted(inbox.waiting, () => sendInTime(refundId))
    const found =
      sent?.status === 'pending' ? await waitForVerdict(refundId, inbox, sent.checkInMs) : sent
    const settled = found ?? (await park(refundId, inbox))
    return finish(inbox, webhooks, settled, describeVerdict(settled))
  })
}

function waitForVerdict(id: string, inbox: Inbox, checkInMs: number | null) {
  const until = windowEnd()
  inbox.enter(
    'waiting',
    `**Waiting** for the provider. Remit asks the provider again until ${until}.`,
  )
  return withinWindow(inbox.waiting, () => poll(id, checkInMs))
}

/** Holds the money until the provider decides after all, or an operator resolves the refund. */
async function park(id: string, inbox: Inbox): Promise<RefundSettled> {
  await parkRefund(id)
  inbox.enter('parked', PARKED_DETAILS)
  const late = await unlessInterrupted(inbox.waiting, async () => {
    const sent = await send(id)
    return sent.status === 'pending' ? poll(id, sent.checkInMs) : sent
  })
  if (late) return late
  if (!inbox.verdict) throw new Error('Only a verdict ends the parking')
  inbox.enter('settling', settlingDetails(inbox.verdict))
  return settle(id, inbox.verdict)
}

function openRefundInbox() {
  const inbox = openInbox<RefundStage, RefundStatus, RefundVerdict>('refunding', 'pending')
  setHandler(refundState, () => inbox.state)
  handleResolve(resolveRefund, inbox, refundLifecycle)
  return inbox
}

const send = (id: string) =>
  sendRefund.executeWithOptions({ summary: 'Refund at the provider, or look it up' }, [id])
const sendInTime = (id: string) =>
  sendRefundInTime.executeWithOptions({ summary: 'Refund at the provider, or look it up' }, [id])
const poll = (id: string, checkInMs: number | null) =>
  pollRefund.executeWithOptions({ summary: 'Ask the provider for its verdict' }, [id, checkInMs])
const settle = (id: string, verdict: RefundVerdict) =>
  settleRefund.executeWithOptions({ summary: `Record: ${describeVerdict(verdict)}` }, [id, verdict])
