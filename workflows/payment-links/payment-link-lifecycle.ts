import {
  CancellationScope,
  condition,
  proxyActivities,
  setHandler,
  sleep,
} from '@temporalio/workflow'
import type { Activities } from '../../activities/index.ts'
import type { LinkFound, LinkRecorded } from '../../activities/payment-links.ts'
import type { LinkCommand, PaymentLinkStatus } from '../../core/lifecycles/payment-link.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import { commandQueue } from '../shared/command-queue.ts'
import { openInbox } from '../shared/inbox.ts'
import {
  activityOptions,
  finish,
  openWebhooks,
  timeIn,
  unlessInterrupted,
} from '../shared/lifecycle.ts'
import { paymentEnded } from '../shared/payable-messages.ts'
import { closePaymentLink, type PaymentLinkStage, paymentLinkState } from './messages.ts'

const activities = proxyActivities<Activities>(activityOptions)

type Inbox = ReturnType<typeof openLinkInbox>

/**
 * Waits until a link is paid, canceled, or expires, and then closes the link. If a payment began
 * before that, its outcome decides. `created` are the deliveries of the event that the link was
 * committed with.
 */
export async function paymentLinkLifecycle(
  linkId: string,
  created: Delivery[],
): Promise<PaymentLinkStatus> {
  const inbox = openLinkInbox()
  inbox.enter('active', '**Looking up** the link.')
  return CancellationScope.nonCancellable(async () => {
    const webhooks = openWebhooks(created)
    const found = await takeUp(linkId)
    if (found.status === 'active') await waitForEnd(inbox, found)
    const end = found.status === 'active' ? await closeLink(linkId, inbox) : found
    return finish(inbox, webhooks, end, describeEnd(end))
  })
}

/** Ends when the link is paid, is to be closed, or expires. A failed payment changes nothing. */
function waitForEnd(inbox: Inbox, { expiresInMs }: LinkFound): Promise<void> {
  return CancellationScope.cancellable(async () => {
    let hasExpired = false
    const until = expiresInMs === null ? 'for ever' : `until ${timeIn(expiresInMs)}`
    inbox.enter('active', `**Active**: it can be paid ${until}, once.`)
    if (expiresInMs !== null)
      sleep(expiresInMs, { summary: 'Expire, unless it is paid by then' }).then(
        () => {
          hasExpired = true
        },
        () => {}, // the link was paid or canceled before
      )
    const { commands } = inbox
    await condition(() => inbox.paidBy !== null || commands.peek() !== null || hasExpired)
    CancellationScope.current().cancel()
  })
}

/** Closes the link once no payment for it is open, unless one of them pays it. */
async function closeLink(id: string, inbox: Inbox): Promise<LinkRecorded> {
  while (!inbox.paidBy) {
    inbox.rearm()
    const to = inbox.commands.peek() ? 'canceled' : 'expired'
    inbox.enter('closing', `**Closing** the link: ${to}.`)
    const closed = await close(id, to)
    if (closed.status !== 'active') return closed
    inbox.enter('awaiting_payment_end', closingDetails(to, closed.paymentId))
    await unlessInterrupted(inbox.waiting, () => awaitPaymentEnd(id, to === 'canceled'))
  }
  return { status: 'paid', paymentId: inbox.paidBy, deliveries: [] }
}

function closingDetails(to: 'expired' | 'canceled', paymentId: string | null): string {
  const payment = `payment \`${paymentId}\``
  return to === 'expired'
    ? `**Expired**, but ${payment} began in time. If the payment succeeds, the link is paid; otherwise the link expires.`
    : `**Canceling**: Remit asks ${payment} to cancel. If its money was already taken, the link is paid.`
}

function describeEnd({ status, paymentId }: LinkRecorded): string {
  return paymentId ? `${status} by payment \`${paymentId}\`` : status
}

function openLinkInbox() {
  const commands = commandQueue<LinkCommand>()
  const inbox = Object.assign(
    openInbox<PaymentLinkStage, PaymentLinkStatus, never>('active', 'active'),
    { commands, paidBy: null as string | null },
  )
  setHandler(paymentLinkState, () => inbox.state)
  setHandler(paymentEnded, ({ paymentId, isPaid }) => {
    if (isPaid) inbox.paidBy = paymentId
    inbox.waiting.cancel()
  })
  setHandler(closePaymentLink, () => {
    accept()
    return inbox.answer()
  })
  // A Cancel in the Web UI is the `close` command.
  CancellationScope.current().cancelRequested.catch(accept)
  return inbox

  function accept(): void {
    commands.accept({ kind: 'close' })
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
