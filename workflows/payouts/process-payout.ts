import { CancellationScope, proxyActivities } from '@temporalio/workflow'
import type { Activities } from '../../activities/index.ts'
import type { PayoutProgress } from '../../activities/payouts.ts'
import { isOpenStatus } from '../../core/lifecycles/lifecycle.ts'
import {
  type PayoutCommand,
  type PayoutStatus,
  type PayoutVerdict,
  payoutLifecycle,
} from '../../core/lifecycles/payout.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
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
import { openPayoutInbox, type PayoutInbox } from './inbox.ts'

const { sendPayout, pollPayout, cancelPayout, simulatePayout, settlePayout, parkPayout } =
  proxyActivities<Activities>(activityOptions)
const { sendPayout: sendPayoutInTime } = proxyActivities<Activities>({
  ...activityOptions,
  scheduleToCloseTimeout: PROVIDER_WINDOW_MS,
})
const { cancelPayout: cancelPayoutInTime } = proxyActivities<Activities>({
  ...activityOptions,
  scheduleToCloseTimeout: '1 hour',
})

type Payout = {
  id: string
  inbox: PayoutInbox
  parkedAs: PayoutStatus | null // `step` does not wait while the status is still this
  isCanceling: boolean // the provider has not answered the cancel yet: send nothing meanwhile
}

/**
 * Submits a payout, obeys commands while it is on its way, and records the provider's verdict.
 * `created` are the deliveries of the event that the payout was committed with.
 */
export async function processPayout(payoutId: string, created: Delivery[]): Promise<PayoutStatus> {
  const inbox = openPayoutInbox()
  inbox.enter('submitting', '**Submitting** to the provider.')
  return CancellationScope.nonCancellable(async () => {
    const webhooks = openWebhooks(created)
    const payout: Payout = { id: payoutId, inbox, parkedAs: null, isCanceling: false }

    // `progress` is null if nobody knows the outcome: the step was interrupted or ran out of time.
    let progress: PayoutProgress | null = await unlessInterrupted(inbox.waiting, () =>
      sendInTime(payoutId),
    )
    while (inbox.verdict || inbox.commands.peek() || !isEnd(progress)) {
      if (progress) {
        webhooks.start(progress.deliveries)
        inbox.state = { ...inbox.state, status: progress.status }
      }
      progress = await step(payout, progress)
    }
    inbox.commands.close()
    return finish(inbox, webhooks, progress, describeVerdict(progress))
  })
}

/** A verdict is recorded before a command is obeyed, because the verdict may answer the command. */
async function step(payout: Payout, progress: PayoutProgress | null) {
  const { inbox } = payout
  if (inbox.verdict) return recordVerdict(payout, inbox.verdict)
  inbox.rearm()
  const command = inbox.commands.next()
  if (command) return obey(payout, command)
  if (isOpen(progress) && progress.status !== payout.parkedAs) return waitForMove(payout, progress)
  return park(payout)
}

type Open = Extract<PayoutProgress, { checkInMs: number | null }>
type End = Exclude<PayoutProgress, Open>

function isOpen(progress: PayoutProgress | null): progress is Open {
  return progress !== null && isOpenStatus(payoutLifecycle, progress.status)
}

function isEnd(progress: PayoutProgress | null): progress is End {
  return progress !== null && !isOpen(progress)
}

function waitForMove({ id, inbox }: Payout, { status, checkInMs }: Open) {
  const until = `Remit asks the provider again until ${windowEnd()}.`
  const where =
    status === 'pending'
      ? '**Accepted** by the provider. The money has not left yet, so the payout can be canceled.'
      : '**Processing**: the money has left. The provider has not confirmed its arrival yet.'
  inbox.enter('waiting', `${where} ${until}`)
  return withinWindow(inbox.waiting, () => poll(id, status, checkInMs))
}

/** Holds the money until the provider decides after all, or an operator resolves the payout. */
async function park(payout: Payout): Promise<PayoutProgress | null> {
  const { id, inbox } = payout
  await parkPayout(id)
  payout.parkedAs = inbox.state.status
  inbox.enter('parked', PARKED_DETAILS)
  if (payout.isCanceling) return askToCancel(payout, cancel)
  return unlessInterrupted(inbox.waiting, async () => {
    const sent = await send(id)
    const hasMoved = sent.status !== payout.parkedAs
    return isOpen(sent) && !hasMoved ? poll(id, sent.status, sent.checkInMs) : sent
  })
}

async function obey(payout: Payout, { kind }: PayoutCommand): Promise<PayoutProgress | null> {
  const progress = await (kind === 'cancel' ? tryToCancel(payout) : simulate(payout, kind))
  payout.inbox.commands.answer()
  return progress
}

function tryToCancel(payout: Payout): Promise<PayoutProgress | null> {
  payout.inbox.enter(
    'canceling',
    '**Canceling** at the provider. The verdict of the provider decides.',
  )
  payout.isCanceling = true
  return askToCancel(payout, cancelInTime)
}

async function askToCancel(payout: Payout, ask: typeof cancel): Promise<PayoutProgress | null> {
  const progress = await unlessInterrupted(payout.inbox.waiting, () => ask(payout.id))
  if (progress) payout.isCanceling = false
  return progress
}

function simulate({ id, inbox }: Payout, kind: 'complete' | 'fail') {
  inbox.enter('simulating', `**Simulating**: Remit asks the sandbox to ${kind} the payout.`)
  const summary = `Ask the sandbox to ${kind} the payout`
  return simulatePayout.executeWithOptions({ summary }, [id, kind])
}

/** A verdict that the payout cannot take any more, such as a late cancel, changes nothing. */
async function recordVerdict({ id, inbox }: Payout, verdict: PayoutVerdict) {
  inbox.verdict = null
  inbox.enter('settling', settlingDetails(verdict))
  const summary = `Record: ${describeVerdict(verdict)}`
  return settlePayout.executeWithOptions({ summary }, [id, verdict])
}

const cancel = (id: string) =>
  cancelPayout.executeWithOptions({ summary: 'Cancel at the provider' }, [id])
const cancelInTime = (id: string) =>
  cancelPayoutInTime.executeWithOptions({ summary: 'Cancel at the provider' }, [id])
const send = (id: string) =>
  sendPayout.executeWithOptions({ summary: 'Submit to the provider, or look it up' }, [id])
const sendInTime = (id: string) =>
  sendPayoutInTime.executeWithOptions({ summary: 'Submit to the provider, or look it up' }, [id])
const poll = (id: string, known: PayoutStatus, checkInMs: number | null) =>
  pollPayout.executeWithOptions(
    {
      summary: known === 'pending' ? 'Wait until the money leaves' : 'Wait until the money arrives',
    },
    [id, known, checkInMs],
  )
