import {
  CancellationScope,
  condition,
  proxyActivities,
  setHandler,
  sleep,
} from '@temporalio/workflow'
import type { Activities } from '../../activities/index.ts'
import type { LinkFound, LinkRecorded } from '../../activities/payment-links.ts'
import type { PaymentLinkStatus } from '../../core/lifecycles/payment-link.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import { openInbox } from '../shared/inbox.ts'
import { activityOptions, ask, runLifecycle, timeIn } from '../shared/lifecycle.ts'
import { paymentEnded } from '../shared/payable-messages.ts'
import { closePaymentLink, type PaymentLinkStage, paymentLinkState } from './messages.ts'

const activities = proxyActivities<Activities>(activityOptions)

type Inbox = ReturnType<typeof openLinkInbox>

/**
 * Waits until a link is paid, canceled, or expires. A payment that was begun before has its chance: its
 * outcome decides. `created` are the deliveries of the event that the link was committed with.
 */
export async function paymentLinkLifecycle(
  linkId: string,
  created: Delivery[],
): Promise<PaymentLinkStatus> {
  const inbox = openLinkInbox()
  inbox.enter('active', '**Looking up** the link.')
  return runLifecycle(inbox, created, () => untilClosed(linkId, inbox), describeEnd)
}

async function untilClosed(id: string, inbox: Inbox): Promise<LinkRecorded> {
  const found = await takeUp(id)
  if (found.status !== 'active') return found
  await untilAnything(inbox, found)
  for (;;) {
    if (inbox.paidBy) return { status: 'paid', paymentId: inbox.paidBy, deliveries: [] }
    inbox.rearm()
    const to = inbox.isToClose ? 'canceled' : 'expired'
    inbox.enter('closing', `**Closing** the link: ${to}.`)
    const closed = await close(id, to)
    if (closed.status !== 'active') return closed
    inbox.enter('awaiting_payment_end', closingDetails(to, closed.paymentId))
    await ask(inbox.waiting, () => awaitPaymentEnd(id, to === 'canceled'))
  }
}

/** It is paid, or is to be closed. Who pays tells of it; one that failed leaves the link as it is. */
function untilAnything(inbox: Inbox, { expiresInMs }: LinkFound): Promise<void> {
  return CancellationScope.cancellable(async () => {
    let hasExpired = false
    const until = expiresInMs === null ? 'for ever' : `until ${timeIn(expiresInMs)}`
    inbox.enter('active', `**Active**: it can be paid ${until}, once.`)
    if (expiresInMs !== null)
      sleep(expiresInMs, { summary: 'Expire, unless it is paid by then' }).then(
        () => {
          hasExpired = true
        },
        () => {}, // it was paid or canceled before
      )
    await condition(() => inbox.paidBy !== null || inbox.isToClose || hasExpired)
    CancellationScope.current().cancel()
  })
}

function closingDetails(to: 'expired' | 'canceled', paymentId: string | null): string {
  const payment = `payment \`${paymentId}\``
  return to === 'expired'
    ? `**Expired**, but ${payment} was begun in time. If it succeeds, the link is paid; otherwise it is expired.`
    : `**Canceling**: ${payment} is on its way and is told to cancel. If the money was taken already, the link is paid.`
}

function describeEnd({ status, paymentId }: LinkRecorded): string {
  return paymentId ? `${status} by payment \`${paymentId}\`` : status
}

function openLinkInbox() {
  const inbox = Object.assign(
    openInbox<PaymentLinkStage, PaymentLinkStatus, never>('active', 'active'),
    {
      paidBy: null as string | null,
      isToClose: false,
    },
  )
  setHandler(paymentLinkState, () => inbox.state)
  setHandler(paymentEnded, ({ paymentId, isPaid }) => {
    if (isPaid) inbox.paidBy = paymentId
    inbox.waiting.cancel()
  })
  setHandler(closePaymentLink, () => {
    askToClose()
    return inbox.whenDone()
  })
  // A Cancel from the UI is the `close` command.
  CancellationScope.current().cancelRequested.catch(askToClose)
  return inbox

  function askToClose(): void {
    inbox.isToClose = true
    inbox.waiting.cancel()
  }
}

const takeUp = (id: string) =>
  activities.takeUpLink.executeWithOptions({ summary: 'Look up the link' }, [id])
const close = (id: string, to: 'expired' | 'canceled') =>
  activities.closeLink.executeWithOptions({ summary: `Record: ${to}, unless it is being paid` }, [
    id,
    to,
  ])
const awaitPaymentEnd = (id: string, toCancel: boolean) =>
  activities.awaitPaymentEnd.executeWithOptions(
    {
      summary: toCancel
        ? 'Cancel the payment, and wait for its end'
        : 'Wait for the payment to end',
    },
    [id, toCancel],
  )
