import { proxyActivities } from '@temporalio/workflow'
import type { Activities } from '../../activities/index.ts'
import type { PayoutProgress, PayoutSettled } from '../../activities/payouts.ts'
import type { PayoutCommand, PayoutStatus, PayoutVerdict } from '../../core/lifecycles/payout.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import {
  type Announce,
  activityOptions,
  ask,
  describeVerdict,
  PROVIDER_WINDOW_MS,
  runLifecycle,
  untilWindowEnds,
  windowEnd,
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
  announce: Announce
  parkedAs: PayoutStatus | null // until it moves from there, there is nothing to wait for
  isCanceling: boolean // the provider has not answered yet: nothing must be sent meanwhile
}

/** `created` are the deliveries of the event that the payout was committed with. */
export async function processPayout(payoutId: string, created: Delivery[]): Promise<PayoutStatus> {
  const inbox = openPayoutInbox()
  inbox.enter('submitting', '**Submitting** to the provider.')
  return runLifecycle(
    inbox,
    created,
    (announce) =>
      untilSettled({ id: payoutId, inbox, announce, parkedAs: null, isCanceling: false }),
    describeVerdict,
  )
}

/**
 * Null is what nobody knows: something has ended the waiting, or its time is over. A verdict that is
 * told comes before a command, which it may answer.
 */
async function untilSettled(payout: Payout): Promise<PayoutSettled> {
  const { id, inbox, announce } = payout
  let progress: PayoutProgress | null = await ask(inbox.waiting, () => sendInTime(id))
  for (;;) {
    if (progress && isOpen(progress)) announce(progress.deliveries)
    if (progress) inbox.state = { ...inbox.state, status: progress.status }
    const command = inbox.told ? null : inbox.takeCommand()
    if (inbox.told) progress = await record(payout, inbox.told)
    else if (command) progress = await obey(payout, command)
    else if (progress && !isOpen(progress)) return ended(payout, progress)
    else if (progress && progress.status !== payout.parkedAs)
      progress = await untilMoved(payout, progress)
    else progress = await parked(payout)
  }
}

function ended({ inbox }: Payout, settled: PayoutSettled): PayoutSettled {
  inbox.close()
  return settled
}

type Open = Extract<PayoutProgress, { checkInMs: number | null }>

function isOpen(progress: PayoutProgress): progress is Open {
  return progress.status === 'pending' || progress.status === 'processing'
}

function untilMoved({ id, inbox }: Payout, { status, checkInMs }: Open) {
  const until = `Remit asks the provider again until ${windowEnd()}.`
  const where =
    status === 'pending'
      ? '**Accepted** by the provider, not on its way yet: it can be canceled.'
      : '**Processing**: on its way. The provider has not confirmed its arrival yet.'
  inbox.enter('waiting', `${where} ${until}`)
  return ask(inbox.waiting, () => untilWindowEnds(() => poll(id, status, checkInMs)))
}

/** The money stays held: either the provider decides after all, or an operator finds out. */
async function parked(payout: Payout): Promise<PayoutProgress | null> {
  const { id, inbox } = payout
  await parkPayout(id)
  payout.parkedAs = inbox.state.status
  inbox.enter('parked', '**Parked**: the provider does not decide. An operator has to find out.')
  if (payout.isCanceling) return canceled(payout, cancel)
  return ask(inbox.waiting, async () => {
    const sent = await send(id)
    const hasMoved = sent.status !== payout.parkedAs
    return isOpen(sent) && !hasMoved ? poll(id, sent.status, sent.checkInMs) : sent
  })
}

async function obey(payout: Payout, { kind }: PayoutCommand): Promise<PayoutProgress | null> {
  const { id, inbox } = payout
  const progress = await (kind === 'cancel' ? tryToCancel(payout) : simulate(id, inbox, kind))
  inbox.answered()
  return progress
}

function tryToCancel(payout: Payout): Promise<PayoutProgress | null> {
  payout.inbox.enter('canceling', '**Canceling** at the provider, whose last word decides.')
  payout.isCanceling = true
  return canceled(payout, cancelInTime)
}

async function canceled(payout: Payout, question: typeof cancel): Promise<PayoutProgress | null> {
  const progress = await ask(payout.inbox.waiting, () => question(payout.id))
  if (progress) payout.isCanceling = false
  return progress
}

function simulate(id: string, inbox: PayoutInbox, kind: 'complete' | 'fail') {
  inbox.enter('simulating', `**Told to ${kind}**: the sandbox does as it is told.`)
  const summary = `Tell the sandbox to ${kind} it`
  return simulatePayout.executeWithOptions({ summary }, [id, kind])
}

/** What can't be, such as the cancel of a payout that is on its way, changes nothing. */
async function record({ id, inbox }: Payout, told: PayoutVerdict): Promise<PayoutProgress> {
  inbox.told = null
  inbox.enter('settling', `**Settling**: recording that it is ${describeVerdict(told)}.`)
  const summary = `Record: ${describeVerdict(told)}`
  return settlePayout.executeWithOptions({ summary }, [id, told])
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
    { summary: known === 'pending' ? 'Wait until it is on its way' : 'Wait until it has arrived' },
    [id, known, checkInMs],
  )
