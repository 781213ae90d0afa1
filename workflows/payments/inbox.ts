import { setHandler } from '@temporalio/workflow'
import {
  type FailureCode,
  failureMessages,
  type PaymentCommand,
  type PaymentStatus,
  type PaymentVerdict,
  paymentLifecycle,
  type Verdict,
} from '../../core/lifecycles/payment.ts'
import { hearResolve, openInbox, toVerdict, type Verdicts } from '../shared/inbox.ts'
import { cancel, capture, chargeSettled, type PaymentStage, resolve, state } from './messages.ts'

export type PaymentInbox = ReturnType<typeof openPaymentInbox>

const verdicts: Verdicts<PaymentVerdict, FailureCode> = {
  of: 'payment',
  statuses: paymentLifecycle.verdicts,
  failureCodes: Object.keys(failureMessages) as FailureCode[],
}

export function openPaymentInbox() {
  const inbox = Object.assign(
    openInbox<PaymentStage, PaymentStatus, Verdict>('charging', 'pending'),
    {
      command: null as PaymentCommand | null,
      authorizedAmount: null as number | null, // in minor units; until it is authorized nobody knows
    },
  )

  setHandler(state, () => inbox.state)
  setHandler(chargeSettled, (status, failureCode) => {
    inbox.told ??= toVerdict(verdicts, status, failureCode)
    if (inbox.told) inbox.waiting.cancel()
  })
  setHandler(capture, (amount) => obey({ kind: 'capture', amount: amount ?? null }), {
    validator: (amount) => checkAmount(amount, inbox.authorizedAmount ?? Infinity),
  })
  setHandler(cancel, () => obey({ kind: 'cancel' }))
  hearResolve(resolve, inbox, verdicts)
  return inbox

  /** A cancel overtakes a capture that is not under way yet. */
  function obey(command: PaymentCommand): Promise<PaymentStatus> {
    if (command.kind === 'cancel' || !inbox.command) inbox.command = command
    const isEarly = inbox.command.kind === 'capture' && inbox.state.stage !== 'authorized'
    if (!isEarly) inbox.waiting.cancel()
    return inbox.whenDone()
  }
}

function checkAmount(amount: number | null, max: number): void {
  if (amount == null) return
  if (!Number.isSafeInteger(amount) || amount <= 0)
    throw new Error(`Not an amount in minor units: ${amount}`)
  if (amount > max) throw new Error(`Only ${max} is authorized`)
}
