import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  proxyActivities,
  sleep,
} from '@temporalio/workflow'
import type { Activities } from '../../activities/index.ts'
import type { Authorized, LateRefund, Payable, Settled } from '../../activities/payments.ts'
import type { PaymentStatus, Verdict } from '../../core/lifecycles/payment.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import { refundStart } from '../../temporal/starts.ts'
import {
  type Announce,
  activityOptions,
  ask,
  describeVerdict,
  PROVIDER_WINDOW_MS,
  runLifecycle,
  timeIn,
  untilWindowEnds,
  windowEnd,
} from '../shared/lifecycle.ts'
import { paymentEnded } from '../shared/payable-messages.ts'
import { startAbandoned } from '../webhooks/start-deliveries.ts'
import { openPaymentInbox, type PaymentInbox } from './inbox.ts'

const { pollCharge, settlePayment, parkPayment } = proxyActivities<Activities>(activityOptions)

/** A provider that can't be reached must not keep a payment, and its order, open for ever. */
const { chargePayment, captureCharge } = proxyActivities<Activities>({
  ...activityOptions,
  scheduleToCloseTimeout: PROVIDER_WINDOW_MS,
})
const { cancelCharge } = proxyActivities<Activities>({
  ...activityOptions,
  scheduleToCloseTimeout: '1 hour',
})

/** As seldom in the end as a provider that decides is asked. */
const { pollCharge: cancelAgain } = proxyActivities<Activities>({
  ...activityOptions,
  retry: { initialInterval: '5 seconds', maximumInterval: '1 hour' },
})

type Payment = { id: string; inbox: PaymentInbox; announce: Announce }

/** `created` are the deliveries of the event that the payment was committed with. */
export async function processPayment(
  paymentId: string,
  created: Delivery[],
): Promise<PaymentStatus> {
  const inbox = openPaymentInbox()
  inbox.enter('charging', '**Charging** at the provider.')
  return runLifecycle(
    inbox,
    created,
    async (announce) => {
      const settled = await untilSettled({ id: paymentId, inbox, announce })
      if (settled.refund) await startRefund(settled.refund)
      if (!settled.payable) return settled
      announce(settled.deliveries) // these don't wait for it
      await tellPayable(paymentId, settled.payable)
      return settled
    },
    describeEnd,
  )
}

/** Where another run, or the sweep, was first, it is on its way already. */
async function startRefund({ deliveries, ...refund }: LateRefund): Promise<void> {
  await startAbandoned(refundStart(refund, deliveries))
}

/** One that has ended, or was not started yet, looks up what it needs: there is nobody to tell. */
async function tellPayable(paymentId: string, { id, isPaid }: Payable): Promise<void> {
  const payable = getExternalWorkflowHandle(id)
  await payable.signal(paymentEnded, { paymentId, isPaid }).catch(() => {})
}

function describeEnd({ refund, ...verdict }: Settled): string {
  const ending = describeVerdict(verdict)
  return refund ? `${ending}. It succeeded too late: refunded in workflow \`${refund.id}\`` : ending
}

async function untilSettled(payment: Payment): Promise<Settled> {
  const { id, inbox } = payment
  // `charged` is null if a cancel or the end of its time interrupted the charge. No step waits then.
  const charged = await ask(inbox.waiting, () => charge(id))
  const found =
    charged?.status === 'pending' ? await untilDecided(payment, charged.checkInMs) : charged
  const captured = found?.status === 'authorized' ? await untilCaptured(payment, found) : found
  return captured ?? (await recordTold(payment)) ?? lastWord(payment)
}

/** Records the verdict that came from outside; null if none has come. */
async function recordTold({ id, inbox }: Payment): Promise<Settled | null> {
  if (!inbox.told) return null
  inbox.enter('settling', `**Settling**: recording that it is ${describeVerdict(inbox.told)}.`)
  return settle(id, inbox.told)
}

/** The wait ends with the provider's verdict, the signal `chargeSettled`, the window's end or a cancel. */
function untilDecided({ id, inbox }: Payment, checkInMs: number | null) {
  inbox.enter('waiting', waitingDetails())
  return ask(inbox.waiting, () => untilWindowEnds(() => poll(id, checkInMs)))
}

/** Null when it is to be canceled: that was asked for, or nobody has captured it in time. */
async function untilCaptured(
  { id, inbox, announce }: Payment,
  { deliveries, amount, captureInMs }: Authorized,
): Promise<Settled | null> {
  inbox.state = { ...inbox.state, status: 'authorized' }
  inbox.authorizedAmount = amount
  announce(deliveries)
  inbox.enter('authorized', authorizedDetails(captureInMs))
  const summary = 'Cancel unless captured by then'
  if (!inbox.command) await ask(inbox.waiting, () => sleep(captureInMs, { summary }))
  const { told, command } = inbox
  if (told || command?.kind !== 'capture') return null
  inbox.enter('capturing', '**Capturing** at the provider.')
  return askUnlessTold(inbox, () => take(id, command.amount))
}

/** The provider alone knows the outcome of an undecided charge. Its answer to a cancel is its verdict. */
async function lastWord(payment: Payment): Promise<Settled> {
  const { id, inbox } = payment
  inbox.enter('canceling', '**Canceling** at the provider, whose last word decides.')
  const canceled = (await askUnlessTold(inbox, () => release(id))) ?? (await recordTold(payment))
  if (canceled) return canceled
  await parkPayment(id)
  inbox.enter(
    'parked',
    '**Parked**: the provider does not decide. It is canceled again and again; or an operator finds out.',
  )
  const late = (await askUnlessTold(inbox, () => releaseAgain(id))) ?? (await recordTold(payment))
  if (!late || late.status === 'authorized') throw new Error('Only a verdict ends the parking')
  return late
}

/** A verdict from outside ends it, an operator's Cancel does not: that has been heard already. */
async function askUnlessTold<T>(
  inbox: PaymentInbox,
  question: () => Promise<T>,
): Promise<T | null> {
  const scope = new CancellationScope()
  condition(() => inbox.told !== null).then(
    () => scope.cancel(),
    () => {},
  )
  return ask(scope, question)
}

const charge = (id: string) =>
  chargePayment.executeWithOptions({ summary: 'Charge at the provider, or look it up' }, [id])
const poll = (id: string, checkInMs: number | null) =>
  pollCharge.executeWithOptions({ summary: 'Ask the provider for its verdict' }, [id, checkInMs])
const take = (id: string, amount: number | null) =>
  captureCharge.executeWithOptions({ summary: 'Capture at the provider' }, [id, amount])
const release = (id: string) =>
  cancelCharge.executeWithOptions({ summary: 'Cancel at the provider' }, [id])
const releaseAgain = (id: string) =>
  cancelAgain.executeWithOptions({ summary: 'Ask the provider for its verdict, or cancel again' }, [
    id,
    null,
    true,
  ])
const settle = (id: string, verdict: Verdict) =>
  settlePayment.executeWithOptions({ summary: `Record: ${describeVerdict(verdict)}` }, [
    id,
    verdict,
  ])

function waitingDetails(): string {
  return `**Waiting** for the provider. Remit asks the provider again until ${windowEnd()}.`
}

function authorizedDetails(captureInMs: number): string {
  return `**Authorized**: waits for the merchant to capture or cancel it. Canceled at ${timeIn(captureInMs)} otherwise.`
}
