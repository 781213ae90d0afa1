import { and, desc, eq, inArray, ne } from 'drizzle-orm'
import type { DeliveryStatus } from '../core/delivery.ts'
import { AppError } from '../core/errors.ts'
import type { Db } from './client.ts'
import { type AttemptRow, interruptAttempts } from './deliveries.ts'
import { disableGoneEndpoint, lockGoneEndpoint } from './endpoints.ts'
import { newId } from './ids.ts'
import { attempts, deliveries, endpoints, events } from './webhook-schema.ts'

type NewAttempt = Pick<
  AttemptRow,
  'deliveryId' | 'runId' | 'attempt' | 'url' | 'requestHeaders' | 'bodySha256'
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
    await interruptAttempts(tx, id)
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

/** For a delivery that finds its endpoint deleted or disabled. One that has failed can be reset. */
export async function skipDelivery(db: Db, id: string, now: Date): Promise<void> {
  await db
    .update(deliveries)
    .set({ status: 'skipped', nextAttemptAt: null, updatedAt: now })
    .where(and(eq(deliveries.id, id), eq(deliveries.status, 'pending')))
}

/**
 * Before the POST, so that no attempt goes unlogged. A failed delivery is pending again. Throws when
 * the delivery is no longer in the status it was taken up in: somebody has ended it meanwhile.
 */
export async function insertAttempt(
  db: Db,
  attempt: NewAttempt,
  takenUpAs: DeliveryStatus,
  now: Date,
): Promise<string> {
  const id = newId('attempt')
  await db.transaction(async (tx) => {
    const opened = await tx
      .update(deliveries)
      .set({ status: 'pending', nextAttemptAt: null, updatedAt: now })
      .where(and(eq(deliveries.id, attempt.deliveryId), eq(deliveries.status, takenUpAs)))
      .returning({ id: deliveries.id })
    if (opened.length === 0) throw new Error(`Delivery ${attempt.deliveryId} is not ${takenUpAs}`)
    await tx.insert(attempts).values({ id, ...attempt, createdAt: now })
  })
  return id
}

/**
 * After the POST, together with what the outcome means for the delivery. An endpoint that is gone
 * is disabled, and locked first, as whoever disables it locks it before its deliveries. `told` is
 * then the event that tells the merchant's other endpoints. No attempt follows, and `ended` is true,
 * when the delivery was skipped meanwhile.
 */
export async function completeAttempt(
  db: Db,
  made: { id: string; deliveryId: string; endpoint: { id: string; url: string } },
  outcome: Outcome,
  now: Date,
) {
  const succeeded = outcome.state === 'succeeded'
  return db.transaction(async (tx) => {
    const gone = outcome.httpStatus === 410 ? await lockGoneEndpoint(tx, made.endpoint) : null
    const wantedMs = gone ? null : outcome.retryInMs
    const wantedAt = wantedMs === null ? null : new Date(now.getTime() + wantedMs)
    const ending = succeeded ? ('delivered' as const) : ('failed' as const)
    // Skipped while its last attempt was on its way: what that one was told is what happened.
    const from = succeeded || gone ? (['pending', 'skipped'] as const) : (['pending'] as const)
    const [delivery] = await tx
      .update(deliveries)
      .set({ status: wantedAt ? 'pending' : ending, nextAttemptAt: wantedAt, updatedAt: now })
      .where(and(eq(deliveries.id, made.deliveryId), inArray(deliveries.status, [...from])))
      .returning()
    const next = delivery
      ? { retryInMs: wantedMs, nextAttemptAt: wantedAt }
      : { retryInMs: null, nextAttemptAt: null }
    const [attempt] = await tx
      .update(attempts)
      .set({ ...outcome, ...next })
      .where(and(eq(attempts.id, made.id), eq(attempts.state, 'sending')))
      .returning()
    // Only a worker that was thought dead comes this late, and another has gone on without it.
    if (!attempt) throw new Error(`Attempt ${made.id} was interrupted`)
    const told = gone && (await disableGoneEndpoint(tx, gone, now))
    return { attempt, told, ended: !delivery && !succeeded }
  })
}
