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
  activityOptions,
  describeVerdict,
  finish,
  openWebhooks,
  PROVIDER_WINDOW_MS,
  settlingDetails,
  timeIn,
  unlessInterrupted,
  type Webhooks,
  windowEnd,
  withinWindow,
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

/** The interval grows to an hour, just as it does for a provider that is still deciding. */
const { pollCharge: cancelAgain } = proxyActivities<Activities>({
  ...activityOptions,
  retry: { initialInterval: '5 seconds', maximumInterval: '1 hour' },
})

type Payment = { id: string; inbox: PaymentInbox; webhooks: Webhooks }

/**
 * Charges a payment, waits for the provider's verdict and for the merchant's capture, and records
 * how it ends. `created` are the deliveries of the event that the payment was committed with.
 */
export async function processPayment(
  paymentId: string,
  created: Delivery[],
): Promise<PaymentStatus> {
  const inbox = openPaymentInbox()
  inbox.enter('charging', '**Charging** at the provider.')
  return CancellationScope.nonCancellable(async () => {
    const webhooks = openWebhooks(created)
    const payment = { id: paymentId, inbox, webhooks }

    // A step returns null if a cancel, a verdict or the end of the time interrupted it.
    const charged = await unlessInterrupted(inbox.waiting, () => charge(paymentId))
    const decided =
      charged?.status === 'pending' ? await waitForVerdict(payment, charged.checkInMs) : charged
    const captured =
      decided?.status === 'authorized' ? await waitForCapture(payment, decided) : decided
    const settled = captured ?? (await recordVerdict(payment)) ?? (await cancelOrPark(payment))

    if (settled.refund) await startRefund(settled.refund)
    webhooks.start(settled.deliveries) // deliveries do not wait for the signal
    if (settled.payable) await notifyPayable(paymentId, settled.payable)
    return finish(inbox, webhooks, settled, describeEnd(settled))
  })
}

/**
 * Ends with the provider's verdict, the signal `chargeSettled`, the end of the window or a cancel.
 */
function waitForVerdict({ id, inbox }: Payment, checkInMs: number | null) {
  inbox.enter('waiting', waitingDetails())
  return withinWindow(inbox.waiting, () => poll(id, checkInMs))
}

/**
 * Returns null if a verdict came, if a command cancels the payment, or if no capture succeeded in
 * time.
 */
async function waitForCapture(
  { id, inbox, webhooks }: Payment,
  { deliveries, amount, captureInMs }: Authorized,
): Promise<Settled | null> {
  inbox.state = { ...inbox.state, status: 'authorized' }
  inbox.authorizedAmount = amount
  webhooks.start(deliveries)
  inbox.enter('authorized', authorizedDetails(captureInMs))
  const summary = 'Cancel unless captured by then'
  if (!inbox.commands.peek())
    await unlessInterrupted(inbox.waiting, () => sleep(captureInMs, { summary }))
  const command = inbox.commands.peek()
  if (inbox.verdict || command?.kind !== 'capture') return null
  inbox.enter('capturing', '**Capturing** at the provider.')
  return unlessVerdict(inbox, () => take(id, command.amount))
}

/** Records the verdict that came by a signal or from an operator. Returns null if none has come. */
async function recordVerdict({ id, inbox }: Payment): Promise<Settled | null> {
  if (!inbox.verdict) return null
  inbox.enter('settling', settlingDetails(inbox.verdict))
  return settle(id, inbox.verdict)
}

/** Only the provider knows an undecided charge's outcome, and answers a cancel with the verdict. */
async function cancelOrPark(payment: Payment): Promise<Settled> {
  const { id, inbox } = payment
  inbox.enter('canceling', '**Canceling** at the provider. The verdict of the provider decides.')
  const canceled = (await unlessVerdict(inbox, () => release(id))) ?? (await recordVerdict(payment))
  if (canceled) return canceled
  await parkPayment(id)
  inbox.enter(
    'parked',
    '**Parked**: no verdict from the provider. Remit keeps asking it to cancel; an operator can settle it with the update `resolve`.',
  )
  const late =
    (await unlessVerdict(inbox, () => releaseAgain(id))) ?? (await recordVerdict(payment))
  if (!late || late.status === 'authorized') throw new Error('Only a verdict ends the parking')
  return late
}

/**
 * Returns null if a verdict came meanwhile, or if the activity ran out of time. A Cancel in the Web
 * UI does not interrupt `run`: a cancel is obeyed already, and a capture goes on.
 */
async function unlessVerdict<T>(inbox: PaymentInbox, run: () => Promise<T>): Promise<T | null> {
  const scope = new CancellationScope()
  condition(() => inbox.verdict !== null).then(
    () => scope.cancel(),
    () => {},
  )
  return unlessInterrupted(scope, run)
}

/** Another run, or the sweep, may have started the refund before. */
async function startRefund({ deliveries, ...refund }: LateRefund): Promise<void> {
  await startAbandoned(refundStart(refund, deliveries))
}

/**
 * Ignores a signal that fails: a workflow that has ended, or has not started yet, reads what it
 * needs by itself.
 */
async function notifyPayable(paymentId: string, { id, isPaid }: Payable): Promise<void> {
  const payable = getExternalWorkflowHandle(id)
  await payable.signal(paymentEnded, { paymentId, isPaid }).catch(() => {})
}

function describeEnd({ refund, ...verdict }: Settled): string {
  const ending = describeVerdict(verdict)
  return refund ? `${ending}. It succeeded too late: refunded in workflow \`${refund.id}\`` : ending
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
  return `**Authorized**: waiting for the merchant to capture or cancel the payment. If neither happens, Remit cancels it at ${timeIn(captureInMs)}.`
}
