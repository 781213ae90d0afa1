const SECOND = 1_000

/**
 * If no workflow claims a new row within this time, the row counts as stranded. A delivery gets
 * more time, so that the sweep does not start a backlog of deliveries before their parents do.
 */
const patienceMs = { lifecycle: 30 * SECOND, delivery: 120 * SECOND }

export function firstSweepAt(kind: keyof typeof patienceMs, now: Date): Date {
  return new Date(now.getTime() + patienceMs[kind])
}

/** Returns the timestamps of a new row. `nextSweepAt` leaves the workflow time to claim the row. */
export function timesOfNew(now: Date) {
  return { createdAt: now, updatedAt: now, nextSweepAt: firstSweepAt('lifecycle', now) }
}

/** `reconcile` checks open rows that are at least this old, to see if their workflows still run. */
export const RECONCILE_AFTER_MS = 5 * 60 * SECOND
