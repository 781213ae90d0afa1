import { Context } from '@temporalio/activity'
import type { Db } from '../../db/client.ts'
import {
  type DroppedEvents,
  dropEvents,
  dropKeys,
  type EventCursor,
  oldestEvent,
} from '../../db/recovery/prune.ts'
import type { Now } from '../now.ts'

export type { EventCursor }

/** A transaction drops one batch, so that it holds nobody up. An activity drops several batches. */
const BATCH = 500
const MAX_BATCHES = 10
const DAY_MS = 24 * 60 * 60_000

type Deps = { db: Db; now: Now; eventRetentionDays: number }

export function pruneActivities({ db, now, eventRetentionDays }: Deps) {
  return {
    /** Drops one page of the expired idempotency keys. */
    async pruneKeys(): Promise<{ keys: number; more: boolean }> {
      const { cancellationSignal } = Context.current()
      let keys = 0
      for (let batch = 0; batch < MAX_BATCHES; batch++) {
        if (cancellationSignal.aborted) break // the worker stops: the next page goes on
        const dropped = await dropKeys(db, await now(), BATCH)
        keys += dropped
        Context.current().heartbeat()
        if (dropped < BATCH) return { keys, more: false }
      }
      return { keys, more: true }
    },

    /**
     * Looks at one page of old events after the cursor `after`, and drops those that can go.
     * Without the cursor, the pages would come back for ever to events that cannot go. `next` is
     * null after the last page.
     */
    async pruneEvents(
      after: EventCursor = oldestEvent,
    ): Promise<DroppedEvents & { next: EventCursor | null }> {
      const { cancellationSignal } = Context.current()
      const total = { events: 0, deliveries: 0, attempts: 0 }
      let next: EventCursor | null = after
      for (let batch = 0; next && batch < MAX_BATCHES; batch++) {
        if (cancellationSignal.aborted) break
        const before = new Date((await now()).getTime() - eventRetentionDays * DAY_MS)
        const dropped = await dropEvents(db, { before, after: next, limit: BATCH })
        total.events += dropped.events
        total.deliveries += dropped.deliveries
        total.attempts += dropped.attempts
        Context.current().heartbeat()
        next = dropped.next
      }
      return { ...total, next }
    },
  }
}
