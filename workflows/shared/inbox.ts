import type { UpdateDefinition } from '@temporalio/common'
import { CancellationScope, condition, setCurrentDetails, setHandler } from '@temporalio/workflow'

type Verdict<Ending extends string, Code extends string> = {
  status: Ending
  failureCode: Code | null
}

/** Which verdicts there are of a thing, and which failures: `processing_error` is one of each. */
export type Verdicts<Ending extends string, Code extends string> = {
  of: string // such as 'payment'
  statuses: readonly Ending[]
  failureCodes: readonly Code[]
}

/** What a workflow has been told from outside, and where it is. `V` is the verdict of its provider. */
export function openInbox<Stage extends string, Status extends string, V>(
  stage: Stage,
  status: Status,
) {
  const inbox = {
    told: null as V | null,
    state: { stage, status } as { stage: Stage | 'done'; status: Status },
    /** Ended by whatever ends the waiting. A Cancel from the UI does so too, where it was opened. */
    waiting: new CancellationScope(),
    enter(next: Stage, details: string): void {
      inbox.state = { ...inbox.state, stage: next }
      setCurrentDetails(details)
    },
    /** Whatever is told from then on ends the next waiting. */
    rearm(): void {
      if (inbox.waiting.consideredCancelled) inbox.waiting = new CancellationScope()
    },
    async whenDone(): Promise<Status> {
      await CancellationScope.nonCancellable(() => condition(() => inbox.state.stage === 'done'))
      return inbox.state.status
    },
  }
  return inbox
}

type Told<V, Status> = {
  told: V | null
  state: { stage: string }
  waiting: CancellationScope
  whenDone: () => Promise<Status>
}

/** An operator's word, which counts only while the workflow is parked and asks for it. */
export function hearResolve<Status, Ending extends string, Code extends string>(
  update: UpdateDefinition<Status, [Ending, Code | null]>,
  inbox: Told<Verdict<Ending, Code>, Status>,
  verdicts: Verdicts<Ending, Code>,
): void {
  setHandler(
    update,
    (status, failureCode) => {
      inbox.told ??= toVerdict(verdicts, status, failureCode)
      inbox.waiting.cancel()
      return inbox.whenDone()
    },
    {
      validator(status, _) {
        if (inbox.state.stage !== 'parked')
          throw new Error(`Only a parked ${verdicts.of} can be resolved`)
        if (!toVerdict(verdicts, status)) throw new Error(`Not a verdict: ${status}`)
      },
    },
  )
}

/** Null for what is no verdict: a slip of an operator's hand in the UI must not settle anything. */
export function toVerdict<Ending extends string, Code extends string>(
  { statuses, failureCodes }: Verdicts<Ending, Code>,
  status: Ending,
  failureCode?: Code | null,
): Verdict<Ending, Code> | null {
  if (!statuses.includes(status)) return null
  if (status !== 'failed') return { status, failureCode: null }
  const known = failureCode && failureCodes.includes(failureCode)
  return { status, failureCode: known ? failureCode : ('processing_error' as Code) }
}
