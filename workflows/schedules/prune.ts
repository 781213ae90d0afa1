import { proxyActivities, setCurrentDetails } from '@temporalio/workflow'
import type { Activities } from '../../activities/index.ts'
import type { EventCursor } from '../../activities/schedules/prune.ts'

const { pruneKeys, pruneEvents } = proxyActivities<Activities>({
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '1 minute', // longer than a batch whose statements all time out
  retry: { maximumAttempts: 3 }, // the schedule runs again in an hour
})

const MAX_PAGES = 100

type Pruned = { idempotencyKeys: number; events: number; deliveries: number; attempts: number }

/**
 * Drops keys and events that are too old. The schedule `prune` runs this workflow. If a worker dies
 * during a page, the page runs again, and the totals miss the rows that the first try dropped.
 */
export async function prune(): Promise<Pruned> {
  const total: Pruned = { idempotencyKeys: 0, events: 0, deliveries: 0, attempts: 0 }
  const allKeys = await dropKeys(total)
  const allEvents = await dropEvents(total)
  setCurrentDetails(describe(total, allKeys && allEvents))
  return total
}

/** Returns false if keys are left after `MAX_PAGES`. */
async function dropKeys(total: Pruned): Promise<boolean> {
  for (let page = 0; page < MAX_PAGES; page++) {
    const { keys, more } = await pruneKeys()
    total.idempotencyKeys += keys
    if (!more) return true
  }
  return false
}

async function dropEvents(total: Pruned): Promise<boolean> {
  let after: EventCursor | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const { next, ...dropped } = await pruneEvents(after)
    total.events += dropped.events
    total.deliveries += dropped.deliveries
    total.attempts += dropped.attempts
    if (!next) return true
    after = next
  }
  return false
}

function describe({ idempotencyKeys, events, deliveries, attempts }: Pruned, isAll: boolean) {
  const keys = `**Dropped** ${idempotencyKeys} idempotency keys`
  const rest = isAll ? '' : ' There is more, for the next time.'
  return `${keys}, ${events} events, ${deliveries} deliveries and ${attempts} attempts.${rest}`
}
