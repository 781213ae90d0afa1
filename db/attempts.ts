import { and, desc, eq, inArray, ne } from 'drizzle-orm'
import { AppError } from '../core/errors.ts'
import type { Db } from './client.ts'
import type { AttemptRow } from './deliveries.ts'
import { disableGoneEndpoint } from './endpoints.ts'
import { newId } from './ids.ts'
import { attempts, deliveries, endpoints, events } from './webhook-schema.ts'

type NewAttempt = Pick<
  AttemptRow,
  'deliveryId' | 'runId' | 'attempt' | 'requestHeaders' | 'bodySha256'
>
type Outcome = Pick<
  AttemptRow,
  'httpStatus' | 'responseHeaders' | 'responseBody' | 'error' | 'latencyMs' | 'retryInMs'
> & { state: 'succeeded' | 'failed' }

/**
 * Tells the sweep that this delivery has its workflow, and what is still `sending` that it was
 * interrupted. `last` is the latest attempt of the run that has an outcome: the others don't count.
 */
export async function takeUpDelivery(db: Db, id: string, runId: string) {
  return db.transaction(async (tx) => {
    const [delivery] = await tx
      .update(deliveries)
      .set({ nextSweepAt: null })
      .where(eq(deliveries.id, id))
      .returning()
    if (!delivery) throw new AppError('not_found', `No such webhook delivery: ${id}`)
    const [target] = await tx
      .select({ event: events, endpoint: endpoints })
      .from(events)
      .innerJoin(endpoints, eq(endpoints.id, delivery.endpointId))
      .where(eq(events.id, delivery.eventId))
    if (!target) throw new AppError('not_found', `Webhook delivery ${id} has lost its event`)
    await tx
      .update(attempts)
      .set({ state: 'interrupted' })
      .where(and(eq(attempts.deliveryId, id), eq(attempts.state, 'sending')))
    const [last] = await tx
      .select()
      .from(attempts)
      .where(
        and(
          eq(attempts.deliveryId, id),
          eq(attempts.runId, runId),
          ne(attempts.state, 'interrupted'),
        ),
      )
      .orderBy(desc(attempts.attempt))
      .limit(1)
    return { delivery, last, ...target }
  })
}

/** For a delivery that finds its endpoint deleted or disabled. */
export async function skipDelivery(db: Db, id: string, now: Date): Promise<void> {
  await db
    .update(deliveries)
    .set({ status: 'skipped', nextAttemptAt: null, updatedAt: now })
    .where(and(eq(deliveries.id, id), inArray(deliveries.status, ['pending', 'failed'])))
}

/** Before the POST, so that no attempt goes unlogged. A failed delivery is pending again. */
export async function insertAttempt(db: Db, attempt: NewAttempt, now: Date): Promise<string> {
  const id = newId('attempt')
  await db.transaction(async (tx) => {
    await tx.insert(attempts).values({ id, ...attempt, createdAt: now })
    await tx
      .update(deliveries)
      .set({ status: 'pending', nextAttemptAt: null, updatedAt: now })
      .where(
        and(
          eq(deliveries.id, attempt.deliveryId),
          inArray(deliveries.status, ['pending', 'failed']),
        ),
      )
  })
  return id
}

/**
 * After the POST, together with what the outcome means for the delivery. An endpoint that is gone
 * is disabled: `told` is then the event that tells the merchant's other endpoints.
 */
export async function completeAttempt(db: Db, id: string, outcome: Outcome, now: Date) {
  const { state, retryInMs } = outcome
  const nextAttemptAt = retryInMs === null ? null : new Date(now.getTime() + retryInMs)
  return db.transaction(async (tx) => {
    const [attempt] = await tx
      .update(attempts)
      .set({ ...outcome, nextAttemptAt })
      .where(and(eq(attempts.id, id), eq(attempts.state, 'sending')))
      .returning()
    // Only a worker that was thought dead comes this late, and another has gone on without it.
    if (!attempt) throw new Error(`Attempt ${id} was interrupted`)
    const succeeded = state === 'succeeded'
    const ended = succeeded ? ('delivered' as const) : ('failed' as const)
    // Skipped while it was on its way, and delivered all the same: what happened, happened.
    const from = succeeded ? (['pending', 'skipped'] as const) : (['pending'] as const)
    const [delivery] = await tx
      .update(deliveries)
      .set({ status: nextAttemptAt ? 'pending' : ended, nextAttemptAt, updatedAt: now })
      .where(and(eq(deliveries.id, attempt.deliveryId), inArray(deliveries.status, [...from])))
      .returning()
    const gone = outcome.httpStatus === 410 && delivery
    return { attempt, told: gone ? await disableGoneEndpoint(tx, delivery.endpointId, now) : null }
  })
}
