import { CancellationScope, condition, setCurrentDetails, setHandler } from '@temporalio/workflow'
import type { PaymentCommand } from '../core/command.ts'
import {
  type FailureCode,
  failureMessages,
  type PaymentStatus,
  type PaymentVerdict,
  paymentVerdicts,
  type Verdict,
} from '../core/payment.ts'
import {
  cancel,
  capture,
  chargeSettled,
  type PaymentStage,
  type PaymentState,
  resolve,
  state,
} from './payment-messages.ts'

export type Inbox = ReturnType<typeof openInbox>

/** What a payment's workflow has been told from outside, and where it is. */
export function openInbox() {
  const inbox = {
    told: null as Verdict | null,
    command: null as PaymentCommand | null,
    authorizedAmount: null as number | null, // in minor units; until it is authorized nobody knows
    state: { stage: 'charging', status: 'pending' } as PaymentState,
    /** Ended by whatever ends the waiting for the provider or the merchant; Cancel does so too. */
    waiting: new CancellationScope(),
    enter(stage: PaymentStage, details: string): void {
      inbox.state = { ...inbox.state, stage }
      setCurrentDetails(details)
    },
  }

  setHandler(state, () => inbox.state)
  setHandler(chargeSettled, (status, failureCode) => {
    inbox.told ??= toVerdict(status, failureCode)
    if (inbox.told) inbox.waiting.cancel()
  })
  setHandler(capture, (amount) => obey({ kind: 'capture', amount: amount ?? null }), {
    validator: (amount) => checkAmount(amount, inbox.authorizedAmount ?? Infinity),
  })
  setHandler(cancel, () => obey({ kind: 'cancel' }))
  setHandler(
    resolve,
    (status, failureCode) => {
      inbox.told ??= toVerdict(status, failureCode)
      return whenDone()
    },
    {
      validator(status, _) {
        if (inbox.state.stage !== 'parked') throw new Error('Only a parked payment can be resolved')
        if (!toVerdict(status)) throw new Error(`Not a verdict: ${status}`)
      },
    },
  )
  return inbox

  /** A cancel overtakes a capture that is not under way yet. */
  function obey(command: PaymentCommand): Promise<PaymentStatus> {
    if (command.kind === 'cancel' || !inbox.command) inbox.command = command
    const isEarly = inbox.command.kind === 'capture' && inbox.state.stage !== 'authorized'
    if (!isEarly) inbox.waiting.cancel()
    return whenDone()
  }

  async function whenDone(): Promise<PaymentStatus> {
    await CancellationScope.nonCancellable(() => condition(() => inbox.state.stage === 'done'))
    return inbox.state.status
  }
}

function checkAmount(amount: number | null, max: number): void {
  if (amount == null) return
  if (!Number.isSafeInteger(amount) || amount <= 0)
    throw new Error(`Not an amount in minor units: ${amount}`)
  if (amount > max) throw new Error(`Only ${max} is authorized`)
}

/** Null for what is no verdict: a slip of an operator's hand in the UI must not settle anything. */
function toVerdict(status: PaymentVerdict, failureCode?: FailureCode | null): Verdict | null {
  if (!paymentVerdicts.includes(status)) return null
  if (status !== 'failed') return { status, failureCode: null }
  const known = failureCode && Object.hasOwn(failureMessages, failureCode)
  return { status, failureCode: known ? failureCode : 'processing_error' }
}
