import {
  and,
  desc,
  eq,
  exists,
  getTableColumns,
  inArray,
  type SQL,
  sql,
  type WithSubquery,
} from 'drizzle-orm'
import { AppError } from '../../core/errors.ts'
import type { DeliveryStatus } from '../../core/webhooks/delivery.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { type AttemptRow, interruptAttempts } from './deliveries.ts'
import { disableGoneEndpoint, lockGoneEndpoint } from './endpoints.ts'
import { attempts, deliveries, endpoints, events } from './schema.ts'

type NewAttempt = Pick<
  AttemptRow,
  'deliveryId' | 'runId' | 'attempt' | 'url' | 'requestHeaders' | 'bodySha256'
>
type Outcome = Pick<
  AttemptRow,
  'httpStatus' | 'responseHeaders' | 'responseBody' | 'error' | 'latencyMs' | 'retryInMs'
> & { state: 'succeeded' | 'failed'; reconnected?: true }

/**
 * Tells the sweep that this delivery has its workflow, and what is still `sending` that it was
 * interrupted. `last` is the latest attempt of the run that has an outcome: the others don't count.
 * All in one statement, which sees the attempts as they were when it began: where a worker that was
 * thought dead ends one meanwhile, its number is taken, and `insertAttempt` fails.
 */
export async function takeUpDelivery(db: Db, id: string, runId: string) {
  const interrupted = db
    .$with('interrupted')
    .as(interruptAttempts(db, id).returning({ id: attempts.id }))
  const delivery = db.$with('delivery').as(
    db
      .update(deliveries)
      .set({ nextSweepAt: null })
      .where(and(eq(deliveries.id, id), after(interrupted)))
      .returning(),
  )
  const last = db
    .select()
    .from(attempts)
    .where(
      and(
        eq(attempts.deliveryId, id),
        eq(attempts.runId, runId),
        inArray(attempts.state, ['succeeded', 'failed']),
      ),
    )
    .orderBy(desc(attempts.attempt))
    .limit(1)
    .as('last')
  const [found] = await db
    .with(interrupted, delivery)
    .select()
    .from(delivery)
    .innerJoin(events, eq(events.id, delivery.eventId))
    .innerJoin(endpoints, eq(endpoints.id, delivery.endpointId))
    .leftJoin(last, eq(last.deliveryId, delivery.id))
  if (!found) throw new AppError('not_found', `No such webhook delivery: ${id}`)
  const { delivery: taken, events: event, webhook_endpoints: endpoint } = found
  return { delivery: taken, event, endpoint, last: found.last }
}

/**
 * Attempts are locked before their delivery, everywhere, or two could wait for each other for ever.
 * Of the parts of one statement, only what another part needs is sure to come before it.
 */
function after(part: WithSubquery): SQL {
  return sql`(select count(*) from ${part}) >= 0`
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
 * the delivery is no longer in the status it was taken up in: somebody has ended it meanwhile, and
 * the attempt has no delivery to belong to.
 */
export async function insertAttempt(
  db: Db,
  { deliveryId, ...attempt }: NewAttempt,
  takenUpAs: DeliveryStatus,
  now: Date,
): Promise<string> {
  const id = newId('attempt')
  const opened = db.$with('opened').as(
    db
      .update(deliveries)
      .set({ status: 'pending', nextAttemptAt: null, updatedAt: now })
      .where(and(eq(deliveries.id, deliveryId), eq(deliveries.status, takenUpAs)))
      .returning({ id: deliveries.id }),
  )
  await db
    .with(opened)
    .insert(attempts)
    .values({ id, ...attempt, deliveryId: sql`(select id from ${opened})`, createdAt: now })
  return id
}

type Sent = { id: string; deliveryId: string; endpoint: { id: string; url: string } }

/**
 * After the POST, together with what the outcome means for the delivery. An endpoint that is gone
 * is disabled, and locked first, as whoever disables it locks it before its deliveries. `told` is
 * then the event that tells the merchant's other endpoints. No attempt follows, and `ended` is true,
 * when the delivery was skipped meanwhile.
 */
export async function completeAttempt(db: Db, sent: Sent, outcome: Outcome, now: Date) {
  if (outcome.httpStatus !== 410)
    return { ...(await recordOutcome(db, sent, outcome, false, now)), told: null }
  return db.transaction(async (tx) => {
    const gone = await lockGoneEndpoint(tx, sent.endpoint)
    const recorded = await recordOutcome(tx, sent, outcome, gone !== null, now)
    return { ...recorded, told: gone && (await disableGoneEndpoint(tx, gone, now)) }
  })
}

async function recordOutcome(
  db: Db | Tx,
  { id, deliveryId }: Sent,
  outcome: Outcome,
  isGone: boolean,
  now: Date,
) {
  const succeeded = outcome.state === 'succeeded'
  const wantedMs = isGone ? null : outcome.retryInMs
  const wantedAt = wantedMs === null ? null : new Date(now.getTime() + wantedMs)
  const ending = succeeded ? ('delivered' as const) : ('failed' as const)
  // Skipped while its last attempt was on its way: what that one was told is what happened.
  const from = succeeded || isGone ? (['pending', 'skipped'] as const) : (['pending'] as const)
  const sending = db.$with('sending').as(
    db
      .select({ id: attempts.id })
      .from(attempts)
      .where(and(eq(attempts.id, id), eq(attempts.state, 'sending')))
      .for('update'),
  )
  const delivery = db.$with('delivery').as(
    db
      .update(deliveries)
      .set({
        status: wantedAt ? 'pending' : ending,
        nextAttemptAt: wantedAt,
        nextSweepAt: null, // its workflow lives, whatever the sweep thought meanwhile
        updatedAt: now,
      })
      .where(
        and(
          eq(deliveries.id, deliveryId),
          inArray(deliveries.status, [...from]),
          exists(db.select().from(sending)),
        ),
      )
      .returning({ id: deliveries.id }),
  )
  const isOpen = sql<boolean>`exists (select from ${delivery})`
  const [made] = await db
    .with(sending, delivery)
    .update(attempts)
    .set({
      ...outcome,
      retryInMs: sql`case when ${isOpen} then ${wantedMs}::bigint end`,
      nextAttemptAt: sql`case when ${isOpen} then ${wantedAt?.toISOString() ?? null}::timestamptz end`,
    })
    .where(and(eq(attempts.id, id), exists(db.select().from(sending))))
    .returning({ ...getTableColumns(attempts), isOpen })
  // Only a worker that was thought dead comes this late, and another has gone on without it.
  if (!made) throw new Error(`Attempt ${id} was interrupted`)
  const { isOpen: wasOpen, ...attempt } = made
  return { attempt, ended: !wasOpen && !succeeded }
}
