import type { Client, WorkflowHandle } from '@temporalio/client'
import { createActivities } from '../../activities/index.ts'
import type { WebhookDeps } from '../../activities/webhooks/post-webhook.ts'
import type { Db } from '../../db/client.ts'
import type { Providers } from '../../providers/index.ts'
import { webhookDeps } from '../webhooks/delivery.ts'
import { testProviders } from './app.ts'
import { silent } from './log.ts'

type Overrides = Partial<WebhookDeps> & { providers?: Providers }

/**
 * Creates every activity over a real database. The default provider is the sandbox that decides at
 * once.
 */
export function testActivities(db: Db, { providers, ...overrides }: Overrides = {}) {
  const deps = webhookDeps(db, overrides)
  return createActivities({
    ...deps,
    log: silent,
    providers: providers ?? testProviders(db, deps.now),
    feeBps: 0,
    eventRetentionDays: 90,
  })
}

const POLL_MS = 50

/** Calls `ask` until there is an answer, for at most `limitMs`. */
export async function until<T>(
  ask: () => Promise<T | null | undefined | false>,
  what = 'what was waited for',
  limitMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + limitMs
  while (Date.now() < deadline) {
    const answer = await ask()
    if (answer) return answer
    await pause(POLL_MS)
  }
  throw new Error(`Gave up waiting for ${what}`)
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/**
 * Returns the activity of a delivery once it has failed at least `failed` times and waits for its
 * next try.
 */
export function waitingActivity(delivery: WorkflowHandle, failed = 1) {
  return until(async () => {
    const { raw } = await delivery.describe()
    const activity = raw.pendingActivities?.[0]
    return activity?.lastFailure && Number(activity.attempt) > failed ? activity : null
  }, `attempt ${failed} of ${delivery.workflowId} to fail`)
}

/**
 * Returns a workflow's history and state as text with decoded payloads: everything that an operator
 * could find there.
 */
export async function everythingOf(handle: WorkflowHandle): Promise<string> {
  const { raw } = await handle.describe()
  return JSON.stringify([await handle.fetchHistory(), raw], (name, value) =>
    name === 'data' && typeof value === 'string' ? Buffer.from(value, 'base64').toString() : value,
  )
}

/**
 * Resets a workflow as the Reset button does: the workflow runs again from its first workflow task.
 */
export async function resetWorkflow(client: Client, workflowId: string): Promise<void> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory()
  const first = events?.find((event) => event.workflowTaskCompletedEventAttributes)
  await client.workflowService.resetWorkflowExecution({
    namespace: 'default',
    workflowExecution: { workflowId },
    reason: 'test',
    requestId: crypto.randomUUID(),
    workflowTaskFinishEventId: first?.eventId ?? null,
  })
}
