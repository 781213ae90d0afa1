import { ActivityFailure, TimeoutFailure } from '@temporalio/common'
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  setCurrentDetails,
  sleep,
} from '@temporalio/workflow'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import { startDeliveries } from '../webhooks/start-deliveries.ts'

/** A provider may take this long. After that, the workflow cancels, or an operator decides. */
export const PROVIDER_WINDOW_MS = 7 * 24 * 60 * 60_000

/** The details of a workflow that waits for the provider or an operator without a limit. */
export const PARKED_DETAILS =
  '**Parked**: no verdict from the provider. Remit keeps asking; an operator can settle it with the update `resolve`.'

export const activityOptions = {
  startToCloseTimeout: '30 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
} as const

/**
 * Starts the deliveries of a workflow's events, each once: a run that finds an event recorded emits
 * it again. `created` are the deliveries of the event that the row was committed with.
 */
export function openWebhooks(created: Delivery[]) {
  const deliveries: Delivery[] = []
  const starting: Promise<void>[] = []
  function start(emitted: Delivery[]): void {
    const fresh = emitted.filter(({ id }) => deliveries.every((started) => started.id !== id))
    deliveries.push(...fresh)
    starting.push(startDeliveries(fresh))
  }
  start(created)
  return { start, deliveries, allStarted: () => Promise.all(starting) }
}
export type Webhooks = ReturnType<typeof openWebhooks>

type End<Status> = { status: Status; deliveries: Delivery[] }
type Stages<Status> = { state: { stage: string; status: Status } }

/** Ends a workflow: starts its last deliveries, shows `ending`, and answers every update. */
export async function finish<Status extends string>(
  inbox: Stages<Status>,
  webhooks: Webhooks,
  end: End<Status>,
  ending: string,
): Promise<Status> {
  webhooks.start(end.deliveries)
  await webhooks.allStarted()
  inbox.state = { stage: 'done', status: end.status }
  setCurrentDetails(summarize(ending, webhooks.deliveries))
  await condition(allHandlersFinished)
  return end.status
}

/** The details that the Web UI shows of a workflow that has ended. */
export function summarize(ending: string, deliveries: Delivery[]): string {
  const lines = deliveries.map(
    ({ id, eventType, host }) => `- ${eventType} → ${host} in workflow \`${id}\``,
  )
  return [`**Done**: ${ending}.`, '', 'Webhooks:', '', ...lines].join('\n')
}

/** The details of a workflow that records a verdict from a signal or from an operator. */
export function settlingDetails(verdict: Parameters<typeof describeVerdict>[0]): string {
  return `**Settling**: recording the verdict: ${describeVerdict(verdict)}.`
}

export function describeVerdict(verdict: { status: string; failureCode?: string | null }): string {
  const { status, failureCode } = verdict
  return failureCode ? `${status}, ${failureCode}` : status
}

/**
 * Runs activities in `scope`. Returns null if the scope was canceled, however the activity then
 * ended, or if the activity ran out of time: nobody knows what the provider did, and the workflow
 * has to find out.
 */
export async function unlessInterrupted<T>(
  scope: CancellationScope,
  run: () => Promise<T>,
): Promise<T | null> {
  try {
    return await scope.run(run)
  } catch (error) {
    if (scope.consideredCancelled || isOutOfTime(error)) return null
    throw error
  }
}

/** Works like `unlessInterrupted`, but also returns null when the provider's window is over. */
export function withinWindow<T>(scope: CancellationScope, run: () => Promise<T>) {
  return unlessInterrupted(scope, () =>
    // The first of the two cancels the other.
    CancellationScope.cancellable(async () => {
      const windowEnds = sleep(PROVIDER_WINDOW_MS, { summary: 'Give up waiting for the provider' })
      try {
        return await Promise.race([run(), windowEnds.then(() => null)])
      } finally {
        CancellationScope.current().cancel()
      }
    }),
  )
}

function isOutOfTime(error: unknown): boolean {
  if (!(error instanceof ActivityFailure)) return false
  return error.retryState === 'TIMEOUT' || error.cause instanceof TimeoutFailure
}

/** The day on which a window that begins now ends. */
export function windowEnd(): string {
  return new Date(Date.now() + PROVIDER_WINDOW_MS).toISOString().slice(0, 10)
}

/** The time in `ms` from now, to the minute. */
export function timeIn(ms: number): string {
  const at = new Date(Date.now() + ms).toISOString()
  return `${at.slice(0, 16).replace('T', ' ')} UTC`
}
