import { CancellationScope, setHandler } from '@temporalio/workflow'
import {
  type PayoutCommand,
  type PayoutStatus,
  type PayoutVerdict,
  payoutLifecycle,
} from '../../core/lifecycles/payout.ts'
import { commandQueue } from '../shared/command-queue.ts'
import { handleResolve, openInbox, toVerdict } from '../shared/inbox.ts'
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

export function openPayoutInbox() {
  const commands = commandQueue<PayoutCommand>()
  const inbox = Object.assign(
    openInbox<PayoutStage, PayoutStatus, PayoutVerdict>('submitting', 'pending'),
    { commands },
  )
  const validator = commands.assertOpen

  setHandler(payoutState, () => inbox.state)
  setHandler(payoutSettled, (status, failureCode) => {
    inbox.verdict ??= toVerdict(payoutLifecycle, status, failureCode)
    if (inbox.verdict) inbox.waiting.cancel()
  })
  setHandler(cancelPayout, () => obey('cancel'), { validator })
  setHandler(completePayout, () => obey('complete'), { validator })
  setHandler(failPayout, () => obey('fail'), { validator })
  handleResolve(resolvePayout, inbox, { ...payoutLifecycle, verdicts: ['completed', 'failed'] })
  // A Cancel in the Web UI is the `cancel` command.
  CancellationScope.current().cancelRequested.catch(() => accept('cancel'))
  return inbox

  function obey(kind: PayoutCommand['kind']): Promise<PayoutStatus> {
    const entry = accept(kind)
    return inbox.answer(() => entry.isAnswered)
  }

  /** The commands for the sandbox wait until the sandbox has the payout. */
  function accept(kind: PayoutCommand['kind']) {
    const entry = commands.accept({ kind })
    const { stage } = inbox.state
    const isWaiting = stage === 'waiting' || stage === 'parked'
    if (isWaiting || (stage === 'submitting' && kind === 'cancel')) inbox.waiting.cancel()
    return entry
  }
}
