import type { Client } from '@temporalio/client'
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common'
import type { Start } from './starts.ts'

const DEADLINE_MS = 5_000

/**
 * Starts a workflow. Returns false if a run with this id exists or existed. Each call to Temporal
 * has until `deadlineMs`; a lazy connection, and the waits between tries, may take longer.
 */
export function startOnce(client: Client, start: Start, deadlineMs = DEADLINE_MS) {
  return startAs(client, start, 'REJECT_DUPLICATE', deadlineMs)
}

/**
 * Starts the workflow of an open row. If its workflow has closed (an operator terminated it, say),
 * another run does what is left. Returns false if a run is in progress.
 */
export async function startAgain(client: Client, start: Start): Promise<boolean> {
  if (await startOnce(client, start)) return true
  const { status } = await client.workflow.getHandle(start.workflowId).describe()
  if (status.name === 'RUNNING') return false
  return startAs(client, start, 'ALLOW_DUPLICATE', DEADLINE_MS)
}

async function startAs(
  client: Client,
  { workflowType, ...options }: Start,
  workflowIdReusePolicy: 'REJECT_DUPLICATE' | 'ALLOW_DUPLICATE',
  deadlineMs: number,
): Promise<boolean> {
  try {
    await client.withDeadline(Date.now() + deadlineMs, () =>
      client.workflow.start(workflowType, { ...options, workflowIdReusePolicy }),
    )
    return true
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false
    throw error
  }
}
