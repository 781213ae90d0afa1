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
 * Claims a delivery, and marks its attempts that are still `sending` as `interrupted`. `last` is
 * the latest attempt of the run that has an outcome: the others do not count. One statement does
 * all of this, and sees the attempts as they were when the statement began. If a zombie worker ends
 * an attempt meanwhile, the number of that attempt is taken, and `insertAttempt` fails.
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
 * Makes one part of a statement run after `part`. Postgres is sure to run one part before another
 * only if the other part needs its result. Every transaction locks attempts before their delivery,
 * or two transactions could wait for each other forever.
 */
function after(part: WithSubquery): SQL {
  return sql`(select count(*) from ${part}) >= 0`
}

/**
 * Skips a pending delivery whose endpoint is deleted or disabled. A failed delivery stays `failed`;
 * an operator can reset it.
 */
export async function skipDelivery(db: Db, id: string, now: Date): Promise<void> {
  await db
    .update(deliveries)
    .set({ status: 'skipped', nextAttemptAt: null, updatedAt: now })
    .where(and(eq(deliveries.id, id), eq(deliveries.status, 'pending')))
}

/**
 * Inserts an attempt before the POST, so that no attempt goes unlogged. A failed delivery becomes
 * `pending` again. Throws when the status of the delivery is no longer `takenUpAs`: the delivery
 * was ended meanwhile, so the attempt has no delivery to belong to.
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
 * Records the outcome after the POST, together with its effect on the delivery. An endpoint that is
 * gone (410) is disabled. That endpoint is locked first, because every transaction that disables an
 * endpoint locks it before its deliveries. `told` is then the event for the merchant's other
 * endpoints. If the delivery was skipped meanwhile and the attempt failed, no attempt follows and
 * `ended` is true.
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
  // A delivery can be skipped while its last attempt is on its way. A success or a 410 of that
  // attempt still sets the status of the delivery.
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
        nextSweepAt: null, // the workflow runs, even if the delivery was requeued
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
  // Only a zombie worker comes this late: another worker has continued without it.
  if (!made) throw new Error(`Attempt ${id} was interrupted`)
  const { isOpen: wasOpen, ...attempt } = made
  return { attempt, ended: !wasOpen && !succeeded }
}
