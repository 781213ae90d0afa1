const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** The waits in seconds after failed attempts. There is one attempt more than there are waits. */
export const defaultRetrySchedule: readonly number[] = [60, 300, 1_800, 7_200]

/** WEBHOOK_RETRY_INTERVALS_TEST selects as many attempts, each five seconds after the last. */
export const testRetrySchedule: readonly number[] = defaultRetrySchedule.map(() => 5)

const LONGEST_WAIT = 24 * HOUR

/**
 * Returns the wait in ms after a failed attempt, or null if no attempt follows. `attempt` counts
 * from 1. An endpoint can request more time than its schedule gives, up to a day, but not less.
 */
export function retryDelay(
  schedule: readonly number[],
  attempt: number,
  retryAfterMs = 0,
): number | null {
  const wait = schedule[attempt - 1]
  if (wait === undefined) return null
  return Math.max(wait * SECOND, Math.min(retryAfterMs, LONGEST_WAIT))
}

/** Returns the wait in ms after a provider had no verdict. `attempt` counts from 1. */
export function pollDelay(attempt: number): number {
  return Math.min(5 * SECOND * 2 ** (attempt - 1), HOUR)
}
