import { setTimeout } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common'
import type { Start } from '../core/starts.ts'

const DEADLINE_MS = 1_000 // without one, an unreachable server holds the caller up for 18 s
const FAILURES_TO_OPEN = 3
const OPEN_MS = 5_000

export type TryStart = (start: Start) => Promise<void>

/**
 * Starts a workflow, or leaves it: its row is committed, and the sweep starts what this does not.
 * So it never throws, and after three failures in a row it doesn't even try for five seconds.
 */
export function createStarter(temporal: Client, now: () => number = Date.now): TryStart {
  let failures = 0
  let closedAgainAt = 0

  return async ({ workflowType, ...options }) => {
    if (now() < closedAgainAt) return
    try {
      const start = () =>
        temporal.workflow.start(workflowType, {
          ...options,
          workflowIdReusePolicy: 'REJECT_DUPLICATE',
        })
      await withinLimit(temporal, DEADLINE_MS, start)
      failures = 0
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return
      failures++
      if (failures >= FAILURES_TO_OPEN) closedAgainAt = now() + OPEN_MS
      console.error(`${options.workflowId} is left to the sweep: ${error}`)
    }
  }
}

/**
 * Rejects when there is no answer in time. The client's own deadline does not cover the connecting,
 * nor the wait before it tries again; what it has under way by then is left to end by itself.
 */
export async function withinLimit<T>(
  temporal: Client,
  limitMs: number,
  call: () => Promise<T>,
): Promise<T> {
  const calling = temporal.withDeadline(Date.now() + limitMs, call)
  const timer = new AbortController()
  const limit = setTimeout(limitMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`Temporal did not answer within ${limitMs} ms`)
  })
  try {
    return await Promise.race([calling, limit])
  } finally {
    timer.abort()
    calling.catch(() => {})
    limit.catch(() => {})
  }
}
