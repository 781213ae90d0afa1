import { CancellationScope, condition, setHandler } from '@temporalio/workflow'
import {
  type PayoutCommand,
  type PayoutFailureCode,
  type PayoutStatus,
  type PayoutVerdict,
  type PayoutVerdictStatus,
  payoutLifecycle,
} from '../../core/lifecycles/payout.ts'
import { hearResolve, openInbox, toVerdict, type Verdicts } from '../shared/inbox.ts'
import {
  cancelPayout,
  completePayout,
  failPayout,
  type PayoutStage,
  payoutSettled,
  payoutState,
  resolvePayout,
} from './messages.ts'

export type PayoutInbox = ReturnType<typeof openPayoutInbox>

const verdicts: Verdicts<PayoutVerdictStatus, PayoutFailureCode> = {
  of: 'payout',
  statuses: payoutLifecycle.verdicts,
  failureCodes: payoutLifecycle.failureCodes,
}

export function openPayoutInbox() {
  const commands: { kind: PayoutCommand['kind']; turn: number }[] = []
  let asked = 0
  let taken = 0
  let answered = 0
  let isClosed = false
  const inbox = Object.assign(
    openInbox<PayoutStage, PayoutStatus, PayoutVerdict>('submitting', 'pending'),
    {
      /** In their order. Whatever is told from then on ends the next waiting. */
      takeCommand(): PayoutCommand | null {
        inbox.rearm()
        const next = commands.shift()
        if (!next) return null
        taken = next.turn
        return { kind: next.kind }
      },
      /** The one that was taken. */
      answered(): void {
        answered = taken
      },
      /** Nobody would take what is told from then on: it is refused, and another run hears it. */
      close(): void {
        isClosed = true
      },
    },
  )

  setHandler(payoutState, () => inbox.state)
  setHandler(payoutSettled, (status, failureCode) => {
    inbox.told ??= toVerdict(verdicts, status, failureCode)
    if (inbox.told) inbox.waiting.cancel()
  })
  setHandler(cancelPayout, () => obey('cancel'), { validator })
  setHandler(completePayout, () => obey('complete'), { validator })
  setHandler(failPayout, () => obey('fail'), { validator })
  hearResolve(resolvePayout, inbox, { ...verdicts, statuses: ['completed', 'failed'] })
  heedCancel()
  return inbox

  /** An update that was accepted is heard once, in any run: its id would find the old answer. */
  function validator(): void {
    if (isClosed) throw new Error('It has just ended: tell the next run')
  }

  async function obey(kind: PayoutCommand['kind']): Promise<PayoutStatus> {
    const turn = ask(kind)
    const isOver = () => inbox.state.stage === 'done' || answered >= turn
    await CancellationScope.nonCancellable(() => condition(isOver))
    return inbox.state.status
  }

  /** What the sandbox is told waits until the sandbox has it. */
  function ask(kind: PayoutCommand['kind']): number {
    commands.push({ kind, turn: ++asked })
    const { stage } = inbox.state
    const isWaiting = stage === 'waiting' || stage === 'parked'
    if (isWaiting || (stage === 'submitting' && kind === 'cancel')) inbox.waiting.cancel()
    return asked
  }

  /** A Cancel from the UI is the `cancel` command. */
  function heedCancel(): void {
    CancellationScope.current().cancelRequested.catch(() => ask('cancel'))
  }
}
