import { setHandler } from '@temporalio/workflow'
import {
  type PaymentCommand,
  type PaymentStatus,
  paymentLifecycle,
  type Verdict,
} from '../../core/lifecycles/payment.ts'
import { commandQueue } from '../shared/command-queue.ts'
import { handleResolve, openInbox, toVerdict } from '../shared/inbox.ts'
import { cancel, capture, chargeSettled, type PaymentStage, resolve, state } from './messages.ts'

export type PaymentInbox = ReturnType<typeof openPaymentInbox>

export function openPaymentInbox() {
  const commands = commandQueue<PaymentCommand>('cancel')
  const inbox = Object.assign(
    openInbox<PaymentStage, PaymentStatus, Verdict>('charging', 'pending'),
    {
      commands,
      authorizedAmount: null as number | null, // in minor units; null until the payment is authorized
    },
  )

  setHandler(state, () => inbox.state)
  setHandler(chargeSettled, (status, failureCode) => {
    inbox.verdict ??= toVerdict(paymentLifecycle, status, failureCode)
    if (inbox.verdict) inbox.waiting.cancel()
  })
  setHandler(capture, (amount) => accept({ kind: 'capture', amount: amount ?? null }), {
    validator: (amount) => checkAmount(amount, inbox.authorizedAmount ?? Infinity),
  })
  setHandler(cancel, () => accept({ kind: 'cancel' }))
  handleResolve(resolve, inbox, paymentLifecycle)
  return inbox

  /** A capture that comes early waits in the queue. The answer is the payment's final status. */
  function accept(command: PaymentCommand): Promise<PaymentStatus> {
    commands.accept(command)
    const isEarly = commands.peek()?.kind === 'capture' && inbox.state.stage !== 'authorized'
    if (!isEarly) inbox.waiting.cancel()
    return inbox.answer()
  }
}

function checkAmount(amount: number | null, max: number): void {
  if (amount == null) return
  if (!Number.isSafeInteger(amount) || amount <= 0)
    throw new Error(`Not an amount in minor units: ${amount}`)
  if (amount > max) throw new Error(`Only ${max} is authorized`)
}
