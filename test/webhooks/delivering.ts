import assert from 'node:assert/strict'
import type { WorkflowHandle, WorkflowHandleWithStartDetails } from '@temporalio/client'
import { workflowMetadataQuery } from '@temporalio/workflow'
import { and, asc, eq } from 'drizzle-orm'
import { type WebhookDeps, webhookActivities } from '../../activities/webhooks/post-webhook.ts'
import type { Delivery, FailedAttempt } from '../../core/webhooks/delivery.ts'
import { newId } from '../../db/ids.ts'
import { insertEvent } from '../../db/webhooks/events.ts'
import { attempts, deliveries, events } from '../../db/webhooks/schema.ts'
import { deliveryStart } from '../../temporal/starts.ts'
import type { deliverWebhook } from '../../workflows/index.ts'
import { testDb } from '../support/db.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { fileWorkers } from '../support/file-workers.ts'
import { type TestTemporal, timeSkippingEnv } from '../support/temporal.ts'
import { addDelivery, webhookDeps } from './delivery.ts'

type DeliveryHandle = WorkflowHandleWithStartDetails<typeof deliverWebhook>

type Endpoint = ReturnType<typeof testEndpoint>
type Reply = Awaited<ReturnType<Endpoint['answer']>> & { meanwhile?: () => unknown }
type Options = {
  to?: Partial<Parameters<typeof addDelivery>[1]>
  deps?: Partial<WebhookDeps>
  before?: (delivery: Delivery) => Promise<unknown>
  use?: (handle: DeliveryHandle, delivery: Delivery) => Promise<unknown>
}

const LATE_S = 4

/** Gives a file a database, a merchant's server, and Temporal, which skips waits by default. */
export function testDelivering(createEnv: () => TestTemporal = timeSkippingEnv) {
  const workers = fileWorkers()
  const db = testDb()
  const temporal = createEnv()
  const endpoint = testEndpoint()
  const now = async () => new Date(await temporal.now())
  let activities = webhookActivities(webhookDeps(db, { now }))
  workers.serve(temporal, ['postWebhook', 'failDelivery'], () => activities)

  /** Delivers one event. Returns the result of `use` and what the database then holds. */
  async function deliver({ to, deps, before, use = ended }: Options = {}) {
    endpoint.requests = []
    const { secret, ...delivery } = await addDelivery(db, { url: endpoint.url, ...to })
    await before?.(delivery)
    activities = webhookActivities(webhookDeps(db, { now, ...deps }))
    const outcome = await use(await start(delivery), delivery)
    return { ...delivery, secret, outcome, ...(await recorded(delivery.id)) }
  }

  /**
   * Adds another event of the merchant, and returns its delivery. No workflow has been started for
   * the delivery.
   */
  async function addEvent(merchantId: string) {
    const object = { id: newId('payment'), object: 'payment' }
    const event = { type: 'payment.failed' as const, merchantId, object }
    const [delivery] = (await db.transaction((tx) => insertEvent(tx, event, new Date()))).deliveries
    assert(delivery)
    return delivery
  }

  async function start(delivery: Delivery): Promise<DeliveryHandle> {
    const { workflowType, ...options } = deliveryStart(delivery)
    return temporal.client().workflow.start<typeof deliverWebhook>(workflowType, {
      ...options,
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
    })
  }

  async function recorded(id: string) {
    const made = await db
      .select()
      .from(attempts)
      .where(eq(attempts.deliveryId, id))
      .orderBy(asc(attempts.createdAt), asc(attempts.id))
    const [row] = await db
      .select({ delivery: deliveries, event: events })
      .from(deliveries)
      .innerJoin(events, eq(events.id, deliveries.eventId))
      .where(eq(deliveries.id, id))
    assert(row)
    return { row: row.delivery, event: row.event, attempts: made }
  }

  /**
   * Answers with these replies in order, and then with 200. `meanwhile` runs before its reply.
   * Returns the times of the requests, in seconds since the first request. Compare the times with
   * `atSeconds`.
   */
  function answerWith(...replies: Reply[]) {
    const askedAt: number[] = []
    let first: number | undefined
    endpoint.answer = async () => {
      const now = await temporal.now()
      first ??= now
      askedAt.push((now - first) / 1000)
      const { meanwhile, ...reply } = replies[askedAt.length - 1] ?? { status: 200 }
      await meanwhile?.()
      return reply
    }
    return askedAt
  }

  /**
   * Waits until the delivery has `times` failed attempts in the database and in the history. The
   * clock skips no wait meanwhile.
   */
  async function untilFailed(handle: DeliveryHandle, times = 1) {
    const failed = and(eq(attempts.deliveryId, handle.workflowId), eq(attempts.state, 'failed'))
    while ((await db.$count(attempts, failed)) < times) await sleepReally(20)
    while ((await signalsOf(handle)).length < times) await sleepReally(20)
  }

  return {
    db,
    temporal,
    endpoint,
    now,
    deliver,
    start,
    addEvent,
    answerWith,
    recorded,
    untilFailed,
  }
}

/**
 * Matches these times. The clock also runs between its skips, so a wait is never too short. On a
 * busy machine a wait can be up to `LATE_S` too long.
 */
export function atSeconds(...times: number[]) {
  return times.map((time, waits) => ({
    asymmetricMatch: (at: number) => at >= time && at <= time + waits * LATE_S,
    toString: () => `${time} s`,
  }))
}

/** Returns the result of a delivery's workflow, or the error that the workflow ended with. */
export async function ended(handle: DeliveryHandle): Promise<unknown> {
  return handle.result().catch((error: unknown) => error)
}

export function sleepReally(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Returns the `attemptFailed` signals in the history, oldest first. */
export async function signalsOf(handle: DeliveryHandle): Promise<FailedAttempt[]> {
  const { events: history } = await handle.fetchHistory()
  return (history ?? []).flatMap(({ workflowExecutionSignaledEventAttributes: signal }) => {
    const data = signal?.signalName === 'attemptFailed' && signal.input?.payloads?.[0]?.data
    return data ? [JSON.parse(Buffer.from(data).toString()) as FailedAttempt] : []
  })
}

/** Returns the text that the UI shows above a workflow's history. */
export async function detailsOf(handle: Pick<WorkflowHandle, 'query'>): Promise<string> {
  return (await handle.query(workflowMetadataQuery)).currentDetails ?? ''
}
