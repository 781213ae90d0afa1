import assert from 'node:assert/strict'
import { MockActivityEnvironment } from '@temporalio/testing'
import { eq, sql } from 'drizzle-orm'
import type { Db, Tx } from '../../db/client.ts'
import { newId } from '../../db/ids.ts'
import { oldestEvent } from '../../db/recovery/prune.ts'
import { completeAttempt, insertAttempt } from '../../db/webhooks/attempts.ts'
import { resendDelivery } from '../../db/webhooks/deliveries.ts'
import { insertEvent } from '../../db/webhooks/events.ts'
import { deliveries, events } from '../../db/webhooks/schema.ts'
import { testActivities } from '../support/stack.ts'

export const now = new Date()
/** A row of this time is exactly as old as the retention. */
export const limit = new Date(now.getTime() - 90 * 24 * 60 * 60_000)
export const later = (date: Date, ms: number) => new Date(date.getTime() + ms)

const url = 'https://shop.example/hooks'
const sending = { runId: 'run', attempt: 1, url, requestHeaders: {}, bodySha256: '0'.repeat(64) }
const answer = { responseHeaders: {}, responseBody: '', error: null, latencyMs: 1 }
const succeeded = { ...answer, state: 'succeeded', httpStatus: 200, retryInMs: null } as const

/** Lets a function that would open its own transaction run in this transaction. */
export function asDb(tx: Tx): Db {
  return Object.assign(tx, {
    transaction: (work: (tx: Tx) => unknown) => work(tx),
  }) as unknown as Db
}

/** Runs the activities of `prune` at `now`, as a worker runs them. */
export function testPruning(db: Db) {
  const { pruneKeys, pruneEvents } = testActivities(db, { now: () => now })
  const run = <T>(activity: () => Promise<T>) =>
    new MockActivityEnvironment().run<[], T, () => Promise<T>>(activity)

  /** Adds an event of that time with one delivery, which is still to be sent. */
  async function addEvent(merchantId: string, at: Date) {
    const object = { id: newId('payment'), object: 'payment' }
    const event = { type: 'payment.succeeded' as const, merchantId, object }
    const { id, deliveries: made } = await db.transaction((tx) => insertEvent(tx, event, at))
    const [delivery] = made
    assert(delivery)
    return { eventId: id, deliveryId: delivery.id, endpointId: delivery.endpointId }
  }

  /** Sends a delivery, which takes one attempt. */
  async function send(sent: { deliveryId: string; endpointId: string }, at: Date) {
    const { deliveryId, endpointId } = sent
    const id = await insertAttempt(db, { deliveryId, ...sending }, 'pending', at)
    await completeAttempt(db, { id, deliveryId, endpoint: { id: endpointId, url } }, succeeded, at)
  }

  async function addSentEvent(merchantId: string, at: Date, sentAt = at) {
    const added = await addEvent(merchantId, at)
    await send(added, sentAt)
    return added
  }

  /** Returns the new delivery's id. */
  async function resend(merchantId: string, deliveryId: string, at: Date): Promise<string> {
    return (await db.transaction((tx) => resendDelivery(tx, merchantId, deliveryId, at))).id
  }

  /** Adds copies that are each a microsecond older than the last, which a Date cannot express. */
  async function copyEvent(eventId: string, copies: number, { withDelivery }: CopyOptions) {
    await db.execute(sql`insert into ${events} select (jsonb_populate_record(e, jsonb_build_object(
        'id', e.id || n, 'created_at', e.created_at - n * interval '1 microsecond'))).*
      from ${events} e, generate_series(1, ${copies}::int) n where e.id = ${eventId}`)
    if (!withDelivery) return
    await db.execute(sql`insert into ${deliveries} select (jsonb_populate_record(d,
        jsonb_build_object('id', d.id || n, 'event_id', d.event_id || n))).*
      from ${deliveries} d, generate_series(1, ${copies}::int) n where d.event_id = ${eventId}`)
  }

  const isThere = async (eventId: string) => (await db.$count(events, eq(events.id, eventId))) > 0

  return {
    addEvent,
    addSentEvent,
    send,
    resend,
    copyEvent,
    isThere,
    pruneKeys: () => run(pruneKeys),
    pruneEvents: (after = oldestEvent) => run(() => pruneEvents(after)),
  }
}

type CopyOptions = { withDelivery: boolean }
