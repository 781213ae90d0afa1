import type { Client } from '@temporalio/client'
import { withinLimit } from '../../core/limit.ts'
import type { Log } from '../../log.ts'
import { startOnce } from '../../temporal/start.ts'
import type { Start } from '../../temporal/starts.ts'

const DEADLINE_MS = 1_000 // without a deadline, an unreachable server holds the caller up for 18 s
const FAILURES_TO_OPEN = 3
const OPEN_MS = 5_000

export type TryStart = (start: Start) => Promise<void>

/**
 * Returns a function that starts a workflow, or leaves the start to the sweep. The workflow's row
 * is committed, and the sweep starts each workflow that this function did not start, so the
 * function never throws. After three failures in a row, the function does not even try for five
 * seconds.
 */
export function createStarter(temporal: Client, log: Log, now = () => performance.now()): TryStart {
  let failures = 0
  let closedAgainAt = 0

  return async (start) => {
    if (now() < closedAgainAt) return
    try {
      await withinLimit(DEADLINE_MS, startOnce(temporal, start, DEADLINE_MS))
      failures = 0
    } catch (error) {
      failures++
      if (failures >= FAILURES_TO_OPEN) closedAgainAt = now() + OPEN_MS
      log.warn({ workflow_id: start.workflowId, err: error }, 'Left to the sweep')
    }
  }
}
