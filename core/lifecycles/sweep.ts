const SECOND = 1_000

/**
 * When a row that its workflow has not taken up by then counts as stranded. A delivery is given
 * longer, so that a backlog is not started around its parents.
 */
const patienceMs = { lifecycle: 30 * SECOND, delivery: 120 * SECOND }

export function firstSweepAt(kind: keyof typeof patienceMs, now: Date): Date {
  return new Date(now.getTime() + patienceMs[kind])
}

/** Of a row that is to have a workflow, as it is inserted. */
export function timesOfNew(now: Date) {
  return { createdAt: now, updatedAt: now, nextSweepAt: firstSweepAt('lifecycle', now) }
}

/** How old an open row is before `reconcile` asks whether its workflow still runs. */
export const RECONCILE_AFTER_MS = 5 * 60 * SECOND
