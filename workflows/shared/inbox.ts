import type { UpdateDefinition } from '@temporalio/common'
import { CancellationScope, condition, setCurrentDetails, setHandler } from '@temporalio/workflow'

type Verdict<Ending extends string, Code extends string> = {
  status: Ending
  failureCode: Code | null
}

/** The verdicts and failure codes of a lifecycle, as its descriptor lists them. */
type Verdicts<Ending extends string, Code extends string> = {
  object: string // such as 'payment'
  verdicts: readonly Ending[]
  failureCodes: readonly Code[]
}

/** Holds a workflow's messages from outside, and its state. `V` is the type of a verdict. */
export function openInbox<Stage extends string, Status extends string, V>(
  stage: Stage,
  status: Status,
) {
  const inbox = {
    verdict: null as V | null, // from a signal or an operator, until it is recorded
    state: { stage, status } as { stage: Stage | 'done'; status: Status },
    /**
     * Anything that should end the wait cancels this scope. A Cancel in the Web UI cancels this
     * scope too, unless the inbox was opened inside a non-cancellable scope.
     */
    waiting: new CancellationScope(),
    enter(next: Stage, details: string): void {
      inbox.state = { ...inbox.state, stage: next }
      setCurrentDetails(details)
    },
    /** Renews `waiting`, so that messages from then on end the next wait. */
    rearm(): void {
      if (inbox.waiting.consideredCancelled) inbox.waiting = new CancellationScope()
    },
    /** Returns the status when the workflow is done, or earlier if `isAnswered` returns true. */
    async answer(isAnswered = () => false): Promise<Status> {
      const hasAnswer = () => inbox.state.stage === 'done' || isAnswered()
      await CancellationScope.nonCancellable(() => condition(hasAnswer))
      return inbox.state.status
    },
  }
  return inbox
}

type Resolvable<V, Status> = {
  verdict: V | null
  state: { stage: string }
  waiting: CancellationScope
  answer: () => Promise<Status>
}

/**
 * The update `resolve` brings an operator's verdict. It is refused unless the workflow is parked.
 */
export function handleResolve<Status, Ending extends string, Code extends string>(
  update: UpdateDefinition<Status, [Ending, Code | null]>,
  inbox: Resolvable<Verdict<Ending, Code>, Status>,
  verdicts: Verdicts<Ending, Code>,
): void {
  setHandler(
    update,
    (status, failureCode) => {
      inbox.verdict ??= toVerdict(verdicts, status, failureCode)
      inbox.waiting.cancel()
      return inbox.answer()
    },
    {
      validator(status, _) {
        if (inbox.state.stage !== 'parked')
          throw new Error(`Only a parked ${verdicts.object} can be resolved`)
        if (!toVerdict(verdicts, status)) throw new Error(`Not a verdict: ${status}`)
      },
    },
  )
}

/** Returns null if `status` is no verdict: an operator's slip in the Web UI must settle nothing. */
export function toVerdict<Ending extends string, Code extends string>(
  { verdicts, failureCodes }: Verdicts<Ending, Code>,
  status: Ending,
  failureCode?: Code | null,
): Verdict<Ending, Code> | null {
  if (!verdicts.includes(status)) return null
  if (status !== 'failed') return { status, failureCode: null }
  const isCode = failureCode && failureCodes.includes(failureCode)
  return { status, failureCode: isCode ? failureCode : ('processing_error' as Code) }
}
