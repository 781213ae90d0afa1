import { CancellationScope, proxyActivities, setHandler } from '@temporalio/workflow'
import type { Activities } from '../../activities/index.ts'
import type { RefundSettled } from '../../activities/refunds.ts'
import {
  type RefundStatus,
  type RefundVerdict,
  refundLifecycle,
} from '../../core/lifecycles/refund.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import { hearResolve, openInbox } from '../shared/inbox.ts'
import {
  activityOptions,
  ask,
  describeVerdict,
  PROVIDER_WINDOW_MS,
  runLifecycle,
  untilWindowEnds,
  windowEnd,
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
 * `created` are the deliveries of the event that the refund was committed with. A Cancel from the UI
 * is not heard: a refund is a promise.
 */
export async function processRefund(refundId: string, created: Delivery[]): Promise<RefundStatus> {
  return CancellationScope.nonCancellable(() => {
    const inbox = openRefundInbox()
    inbox.enter('refunding', '**Refunding** at the provider.')
    return runLifecycle(inbox, created, () => untilSettled(refundId, inbox), describeVerdict)
  })
}

async function untilSettled(id: string, inbox: Inbox): Promise<RefundSettled> {
  const sent = await ask(inbox.waiting, () => sendInTime(id))
  if (sent && sent.status !== 'pending') return sent
  const found = sent && (await untilDecided(id, inbox, sent.checkInMs))
  return found ?? parked(id, inbox)
}

function untilDecided(id: string, inbox: Inbox, checkInMs: number | null) {
  const until = windowEnd()
  inbox.enter(
    'waiting',
    `**Waiting** for the provider. Remit asks the provider again until ${until}.`,
  )
  return ask(inbox.waiting, () => untilWindowEnds(() => poll(id, checkInMs)))
}

/** The money stays held: either the provider decides after all, or an operator finds out. */
async function parked(id: string, inbox: Inbox): Promise<RefundSettled> {
  await parkRefund(id)
  inbox.enter('parked', '**Parked**: the provider does not decide. An operator has to find out.')
  const late = await ask(inbox.waiting, async () => {
    const sent = await send(id)
    return sent.status === 'pending' ? poll(id, sent.checkInMs) : sent
  })
  if (late) return late
  if (!inbox.told) throw new Error('Only a verdict ends the parking')
  inbox.enter('settling', `**Settling**: recording that it is ${describeVerdict(inbox.told)}.`)
  return settle(id, inbox.told)
}

function openRefundInbox() {
  const inbox = openInbox<RefundStage, RefundStatus, RefundVerdict>('refunding', 'pending')
  setHandler(refundState, () => inbox.state)
  const verdicts = {
    of: 'refund',
    statuses: refundLifecycle.verdicts,
    failureCodes: refundLifecycle.failureCodes,
  }
  hearResolve(resolveRefund, inbox, verdicts)
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
