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

// What the lifecycles of money share: each asks a provider, waits for its verdict, and tells of it.

/** How long a provider may take: after that somebody else decides. */
export const PROVIDER_WINDOW_MS = 7 * 24 * 60 * 60_000

export const activityOptions = {
  startToCloseTimeout: '30 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
} as const

/** Starts the deliveries of events, which are told of once more when a run finds them recorded. */
export type Announce = (made: Delivery[]) => void

type Final<Status> = { status: Status; deliveries: Delivery[] }
type Stages<Stage, Status> = { state: { stage: Stage | 'done'; status: Status } }

/**
 * Runs a lifecycle until its row has ended. `created` are the deliveries of the event that the row was
 * committed with. A Cancel from the UI does not end it: where it means something, the inbox hears it.
 */
export async function runLifecycle<Status extends string, End extends Final<Status>>(
  inbox: Stages<string, Status>,
  created: Delivery[],
  untilEnded: (announce: Announce) => Promise<End>,
  describe: (end: End) => string,
): Promise<Status> {
  const deliveries: Delivery[] = []
  const starting: Promise<void>[] = []
  function announce(made: Delivery[]): void {
    const fresh = made.filter(({ id }) => deliveries.every((known) => known.id !== id))
    deliveries.push(...fresh)
    starting.push(startDeliveries(fresh))
  }

  return CancellationScope.nonCancellable(async () => {
    announce(created)
    const end = await untilEnded(announce)
    announce(end.deliveries)
    await Promise.all(starting)
    inbox.state = { stage: 'done', status: end.status }
    setCurrentDetails(summarize(describe(end), deliveries))
    await condition(allHandlersFinished)
    return end.status
  })
}

/** What an operator reads of a workflow that has ended. */
export function summarize(ending: string, deliveries: Delivery[]): string {
  const lines = deliveries.map(
    ({ id, eventType, host }) => `- ${eventType} → ${host} in workflow \`${id}\``,
  )
  return [`**Done**: ${ending}.`, '', 'Webhooks:', '', ...lines].join('\n')
}

export function describeVerdict(verdict: { status: string; failureCode?: string | null }): string {
  const { status, failureCode } = verdict
  return failureCode ? `${status}, ${failureCode}` : status
}

/**
 * Null when the scope was canceled, however the activity then ended, or when its time was up: what
 * the provider did is unknown, and has to be found out in another way.
 */
export async function ask<T>(
  scope: CancellationScope,
  question: () => Promise<T>,
): Promise<T | null> {
  try {
    return await scope.run(question)
  } catch (error) {
    if (scope.consideredCancelled || isOutOfTime(error)) return null
    throw error
  }
}

function isOutOfTime(error: unknown): boolean {
  if (!(error instanceof ActivityFailure)) return false
  return error.retryState === 'TIMEOUT' || error.cause instanceof TimeoutFailure
}

/** In a scope of its own: whoever is first, the answer or the end of the window, ends the other. */
export function untilWindowEnds<T>(question: () => Promise<T>): Promise<T | null> {
  return CancellationScope.cancellable(async () => {
    const windowEnds = sleep(PROVIDER_WINDOW_MS, { summary: 'Give up waiting for the provider' })
    try {
      return await Promise.race([question(), windowEnds.then(() => null)])
    } finally {
      CancellationScope.current().cancel()
    }
  })
}

/** When the window ends that begins now, as a reader wants it. */
export function windowEnd(): string {
  return new Date(Date.now() + PROVIDER_WINDOW_MS).toISOString().slice(0, 10)
}

/** The time that is so far ahead, as a reader wants it. */
export function timeIn(ms: number): string {
  const at = new Date(Date.now() + ms).toISOString()
  return `${at.slice(0, 16).replace('T', ' ')} UTC`
}
