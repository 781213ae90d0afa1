import { ActivityFailure, ApplicationFailure, CancelledFailure } from '@temporalio/common'
import {
  CancellationScope,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow'
import type { Activities } from '../../activities/index.ts'
import {
  ATTEMPT_FAILED,
  type Delivery,
  type DeliveryResult,
  type FailedAttempt,
} from '../../core/webhooks/delivery.ts'
import { deliverySummary } from '../../temporal/starts.ts'
import { attemptFailed } from './messages.ts'

/**
 * Each failed attempt brings its wait from the retry schedule, and the last one ends the retries.
 * The intervals here are for failures of ours, which must not use up the merchant's attempts. No
 * timeout covers all retries, because it would run on while an operator has paused the activity.
 */
const { postWebhook, failDelivery } = proxyActivities<Activities>({
  startToCloseTimeout: '30 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED', // a POST on its way is recorded first
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
})

/**
 * Delivers one event to one endpoint. The workflow fails after the last failed attempt, so that an
 * operator can find it.
 */
export async function deliverWebhook(delivery: Delivery): Promise<DeliveryResult> {
  const failures = new Map<string, FailedAttempt>() // by id, because a signal may be sent twice
  const show = (state: string) => setCurrentDetails(toMarkdown(state, [...failures.values()]))

  setHandler(attemptFailed, (failure) => {
    if (failures.has(failure.id)) return
    failures.set(failure.id, failure)
    // A reset copies the old run's signals: they belong in the table, but do not change the state.
    if (failure.run === workflowInfo().runId) show(stateAfter(failure))
  })
  show('**Sending** the first attempt.')
  try {
    const summary = deliverySummary(delivery)
    const result = await postWebhook.executeWithOptions({ summary }, [delivery.id])
    show(describe(result))
    return result
  } catch (error) {
    // The last attempt has marked its delivery itself; a cancel, or a failure of ours, has not.
    if (!isLastAttempt(error))
      await CancellationScope.nonCancellable(() => failDelivery(delivery.id))
    if (!CancellationScope.current().consideredCancelled) throw error
    show('**Canceled** by an operator. Nothing more will be sent.')
    throw new CancelledFailure('Canceled by an operator') // also if a failed POST came first
  }
}

function isLastAttempt(error: unknown): boolean {
  const cause = error instanceof ActivityFailure ? error.cause : null
  if (!(cause instanceof ApplicationFailure)) return false
  return cause.type === ATTEMPT_FAILED && cause.nonRetryable === true
}

function stateAfter({ attempt, retryInMs }: FailedAttempt): string {
  if (retryInMs === null)
    return `**Failed** after attempt ${attempt}. Nothing more will be sent, unless this is reset.`
  const next = new Date(Date.now() + retryInMs).toISOString().replace(/\..*/, ' UTC')
  return `**Waiting** after attempt ${attempt} failed. Attempt ${attempt + 1} at ${next.replace('T', ' ')}.`
}

function describe(result: DeliveryResult): string {
  if (result.status === 'skipped') return '**Skipped**: the endpoint is disabled or deleted.'
  if (!('attempt' in result)) return '**Delivered** before this run.'
  return `**Delivered** at attempt ${result.attempt}: HTTP ${result.httpStatus} in ${result.latencyMs} ms.`
}

/** Lists failures newest first, with the run: a reset copies old signals into the new run. */
function toMarkdown(state: string, failures: FailedAttempt[]): string {
  if (failures.length === 0) return state
  const rows = failures.toReversed().map(({ run, attempt, httpStatus, latencyMs, retryInMs }) => {
    const next = retryInMs === null ? 'none' : `in ${wait(retryInMs)}`
    return `| ${run.slice(0, 8)} | ${attempt} | ${httpStatus ?? 'no answer'} | ${latencyMs} ms | ${next} |`
  })
  const head = ['| Run | Attempt | HTTP | Latency | Next |', '| --- | --- | --- | --- | --- |']
  return [state, '', ...head, ...rows].join('\n')
}

function wait(ms: number): string {
  if (ms >= 3_600_000) return `${round(ms / 3_600_000)} h`
  return ms >= 60_000 ? `${round(ms / 60_000)} min` : `${round(ms / 1000)} s`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
