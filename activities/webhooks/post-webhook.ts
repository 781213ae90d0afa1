import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { ApplicationFailure, Context } from '@temporalio/activity'
import type { Cipher } from '../../core/secrets.ts'
import { ATTEMPT_FAILED, type DeliveryResult } from '../../core/webhooks/delivery.ts'
import { retryDelay } from '../../core/webhooks/retry-schedule.ts'
import { signatureHeaders } from '../../core/webhooks/signature.ts'
import type { Db } from '../../db/client.ts'
import {
  completeAttempt,
  insertAttempt,
  skipDelivery,
  takeUpDelivery,
} from '../../db/webhooks/attempts.ts'
import { type AttemptRow, failDelivery } from '../../db/webhooks/deliveries.ts'
import { secretContext } from '../../db/webhooks/endpoints.ts'
import { startOnce } from '../../temporal/start.ts'
import { eventStart } from '../../temporal/starts.ts'
import { attemptFailed } from '../../workflows/webhooks/messages.ts'
import type { Now } from '../now.ts'
import type { Answer, Post } from './outbound.ts'

export type WebhookDeps = {
  db: Db
  cipher: Cipher
  post: Post
  now: Now
  retrySchedule: readonly number[] // seconds to wait after each failed attempt
}

/** Clocks differ, so a wait may end this much too early, but a short wait only by a tenth. */
const CLOCK_SLACK_MS = 1_000

export function webhookActivities(deps: WebhookDeps) {
  const { db, cipher, post, now, retrySchedule } = deps

  return {
    /**
     * Throws after each failed attempt, with the schedule's wait. The retry is the next attempt.
     */
    async postWebhook(deliveryId: string): Promise<DeliveryResult> {
      const { info } = Context.current()
      assert(info.workflowExecution, 'a webhook is always delivered by a workflow')
      const { runId } = info.workflowExecution
      const { delivery, endpoint, event, last } = await takeUpDelivery(db, deliveryId, runId)
      if (last?.state === 'succeeded') return delivered(last)
      if (delivery.status === 'delivered' || delivery.status === 'skipped')
        return { status: delivery.status }
      if (last?.retryInMs === null) return failWith(last, null)
      if (endpoint.status === 'disabled' || !endpoint.secret) {
        await skipDelivery(db, deliveryId, await now())
        return { status: 'skipped' }
      }

      // A retry that comes too early follows a failure of ours, or an operator's Unpause: it waits
      // on. A first try that comes too early is an operator's Reset, and is sent now.
      const waitMs = msUntil(delivery.nextAttemptAt, await now())
      if (last && info.attempt > 1 && isEarly(last, waitMs)) return failWith(last, waitMs)

      // Temporal's own count does not fit: failures of ours raise it, and a reset sets it back.
      const attempt = (last?.attempt ?? 0) + 1
      const { body } = event
      const secret = cipher.decrypt(endpoint.secret, secretContext(endpoint.id))
      const requestHeaders = {
        'content-type': 'application/json',
        'user-agent': 'Remit-Webhooks/1',
        ...signatureHeaders({ eventId: event.id, body, secret, sentAt: new Date() }),
      }
      const bodySha256 = createHash('sha256').update(body).digest('hex')
      const { url } = endpoint
      const begun = { deliveryId, runId, attempt, url, requestHeaders, bodySha256 }
      const id = await insertAttempt(db, begun, delivery.status, await now())
      const answer = await post(url, body, requestHeaders)
      if (answer.reconnected)
        Context.current().log.info(
          `Attempt ${attempt}: the reused connection was closed, so Remit sent the request again on a new connection`,
        )
      const outcome = toOutcome(answer, attempt, endpoint.retrySchedule ?? retrySchedule)
      const sent = { id, deliveryId, endpoint }
      const { attempt: made, told, ended } = await completeAttempt(db, sent, outcome, await now())
      if (told?.deliveries.length) await startOnce(Context.current().client, eventStart(told))
      if (ended) return { status: 'skipped' }
      return made.state === 'failed' ? failWith(made, made.retryInMs) : delivered(made)
    },

    async failDelivery(deliveryId: string): Promise<void> {
      await failDelivery(db, deliveryId, await now())
    },
  }

  /** Signals the workflow before it throws. If the signal fails, the retry sends it again. */
  async function failWith(made: AttemptRow, waitMs: number | null): Promise<never> {
    const { id, deliveryId, runId: run, attempt, httpStatus, latencyMs, retryInMs, error } = made
    const failure = { id, run, attempt, httpStatus, latencyMs: latencyMs ?? 0, retryInMs }
    const workflow = Context.current().client.workflow.getHandle(deliveryId, run)
    await workflow.signal(attemptFailed, failure)
    throw ApplicationFailure.create({
      type: ATTEMPT_FAILED,
      message: `Attempt ${attempt}: ${error ?? `HTTP ${httpStatus}`} in ${latencyMs} ms`,
      category: 'BENIGN', // a failure of the merchant's server: no warning in our own log
      ...(waitMs === null ? { nonRetryable: true } : { nextRetryDelay: waitMs }),
    })
  }
}

function toOutcome(answer: Answer, attempt: number, schedule: readonly number[]) {
  const { retryAfterMs, ...rest } = answer
  const { httpStatus } = answer
  if (httpStatus && httpStatus >= 200 && httpStatus < 300)
    return { ...rest, state: 'succeeded' as const, retryInMs: null }
  return {
    ...rest,
    state: 'failed' as const,
    retryInMs: retryDelay(schedule, attempt, retryAfterMs),
  }
}

function delivered({ attempt, httpStatus, latencyMs }: AttemptRow): DeliveryResult {
  return { status: 'delivered', attempt, httpStatus: httpStatus ?? 0, latencyMs: latencyMs ?? 0 }
}

/**
 * If more time is left than the wait was long, a clock was set back: trust Temporal's, which
 * scheduled this retry.
 */
function isEarly({ retryInMs }: AttemptRow, leftMs: number): boolean {
  const wholeMs = retryInMs ?? 0
  const slackMs = Math.min(CLOCK_SLACK_MS, wholeMs / 10)
  return leftMs > slackMs && leftMs <= wholeMs + CLOCK_SLACK_MS
}

function msUntil(due: Date | null, now: Date): number {
  return due ? due.getTime() - now.getTime() : 0
}
