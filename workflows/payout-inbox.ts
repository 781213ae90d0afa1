import { CancellationScope, condition, setHandler } from '@temporalio/workflow'
import type { PayoutCommand } from '../core/command.ts'
import {
  type PayoutFailureCode,
  type PayoutStatus,
  type PayoutVerdict,
  type PayoutVerdictStatus,
  payoutFailureCodes,
  payoutVerdicts,
} from '../core/payout.ts'
import { hearResolve, openInbox, toVerdict, type Verdicts } from './inbox.ts'
import {
  cancelPayout,
  completePayout,
  failPayout,
  type PayoutStage,
  payoutSettled,
  payoutState,
  resolvePayout,
} from './payout-messages.ts'

export type PayoutInbox = ReturnType<typeof openPayoutInbox>

const verdicts: Verdicts<PayoutVerdictStatus, PayoutFailureCode> = {
  of: 'payout',
  statuses: payoutVerdicts,
  failureCodes: payoutFailureCodes,
}

export function openPayoutInbox() {
  let asked = 0
  let answered = 0
  let command: PayoutCommand | null = null
  const inbox = Object.assign(
    openInbox<PayoutStage, PayoutStatus, PayoutVerdict>('submitting', 'pending'),
    {
      /** Whatever is told from then on ends the next waiting. */
      takeCommand(): PayoutCommand | null {
        const taken = command
        command = null
        if (inbox.waiting.consideredCancelled) inbox.waiting = new CancellationScope()
        return taken
      },
      answered(): void {
        answered = asked
      },
    },
  )

  setHandler(payoutState, () => inbox.state)
  setHandler(payoutSettled, (status, failureCode) => {
    inbox.told ??= toVerdict(verdicts, status, failureCode)
    if (inbox.told) inbox.waiting.cancel()
  })
  setHandler(cancelPayout, () => obey('cancel'))
  setHandler(completePayout, () => obey('complete'))
  setHandler(failPayout, () => obey('fail'))
  hearResolve(resolvePayout, inbox, { ...verdicts, statuses: ['completed', 'failed'] })
  heedCancel()
  return inbox

  /** What the sandbox is told waits until the sandbox has it. */
  async function obey(kind: PayoutCommand['kind']): Promise<PayoutStatus> {
    command ??= { kind }
    const turn = ++asked
    if (kind === 'cancel' || inbox.state.stage !== 'submitting') inbox.waiting.cancel()
    const isOver = () => inbox.state.stage === 'done' || answered >= turn
    await CancellationScope.nonCancellable(() => condition(isOver))
    return inbox.state.status
  }

  /** A Cancel from the UI is the `cancel` command. */
  function heedCancel(): void {
    CancellationScope.current().cancelRequested.catch(() => {
      command ??= { kind: 'cancel' }
      inbox.waiting.cancel()
    })
  }
}
