import type { Client, WorkflowClientInterceptor, WorkflowHandle } from '@temporalio/client'

const GIVE_UP_MS = 3_000
const LOOK_EVERY_MS = 10

type Description = Awaited<ReturnType<WorkflowHandle['describe']>>
type PendingActivity = NonNullable<Description['raw']['pendingActivities']>[number]
type HistoryEvent = NonNullable<
  Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']
>[number]
type Time = { seconds?: unknown; nanos?: number | null } | null | undefined

/**
 * Holds a signal, an update or a Cancel back until its workflow has no workflow task, and no activity
 * that is queued or running.
 * The time-skipping server (1.38) does not survive the cancellation of such an activity:
 * - An activity that is canceled before a worker takes it leaves a lock on the server's clock, which
 *   then never skips time again (sdk-java, `processRequestCancelActivityTask`; see also
 *   https://github.com/temporalio/sdk-java/issues/1138).
 * - An activity that fails after its cancellation was requested is dropped without an event, and its
 *   workflow waits until it times out (sdk-java, `newActivityStateMachine`).
 */
export function atRest(client: () => Client): WorkflowClientInterceptor {
  const rest = (id: string) => untilAtRest(client().workflow.getHandle(id))
  return {
    async signal(input, next) {
      await rest(input.workflowExecution.workflowId)
      return next(input)
    },
    async startUpdate(input, next) {
      await rest(input.workflowExecution.workflowId)
      return next(input)
    },
    async cancel(input, next) {
      await rest(input.workflowExecution.workflowId)
      return next(input)
    },
  }
}

/** Gives up after three seconds, because a test may hold an activity open on purpose. */
async function untilAtRest(handle: WorkflowHandle): Promise<void> {
  const givesUpAt = Date.now() + GIVE_UP_MS
  while (!(await isAtRest(handle)) && Date.now() < givesUpAt)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
}

/** The two answers describe one moment if the history has the same length in both. */
async function isAtRest(handle: WorkflowHandle): Promise<boolean> {
  const { events } = await handle.fetchHistory()
  const { historyLength, raw } = await handle.describe()
  return (
    historyLength === events?.length &&
    !hasWorkflowTask(events) &&
    (raw.pendingActivities ?? []).every(waitsForRetry)
  )
}

function hasWorkflowTask(events: HistoryEvent[]): boolean {
  const last = events.findLast(
    (event) =>
      event.workflowTaskScheduledEventAttributes ??
      event.workflowTaskCompletedEventAttributes ??
      event.workflowTaskFailedEventAttributes,
  )
  return Boolean(last?.workflowTaskScheduledEventAttributes)
}

function waitsForRetry(activity: PendingActivity): boolean {
  const { attempt, lastStartedTime, lastAttemptCompleteTime } = activity
  return (attempt ?? 1) > 1 && toMs(lastAttemptCompleteTime) >= toMs(lastStartedTime)
}

function toMs(time: Time): number {
  return Number(time?.seconds ?? 0) * 1000 + (time?.nanos ?? 0) / 1_000_000
}
