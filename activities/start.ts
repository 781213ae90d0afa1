import type { Client } from '@temporalio/client'
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common'
import { withinLimit } from '../core/limit.ts'
import type { Start, Update } from '../core/starts.ts'

const DEADLINE_MS = 5_000

/** False when this id has had its run, or has it now. */
export async function startOnce(client: Client, start: Start): Promise<boolean> {
  return startAs(client, start, 'REJECT_DUPLICATE')
}

/**
 * For a row that is still open: where its workflow has closed (terminated, say), another run takes
 * up what is left to do. False when one is running.
 */
export async function startAgain(client: Client, start: Start): Promise<boolean> {
  if (await startOnce(client, start)) return true
  const { status } = await client.workflow.getHandle(start.workflowId).describe()
  if (status.name === 'RUNNING') return false
  return startAs(client, start, 'ALLOW_DUPLICATE')
}

/** Sends a command to a workflow that runs, and waits until that has heard it, not for its answer. */
export async function sendUpdate(client: Client, workflowId: string, update: Update) {
  const { id: updateId, name, args } = update
  // The client's deadline does not cover its waits between tries.
  const sending = client.withDeadline(Date.now() + DEADLINE_MS, () =>
    client.workflow
      .getHandle(workflowId)
      .startUpdate(name, { updateId, args: args as [unknown], waitForStage: 'ACCEPTED' }),
  )
  await withinLimit(DEADLINE_MS, sending)
}

async function startAs(
  client: Client,
  { workflowType, ...options }: Start,
  workflowIdReusePolicy: 'REJECT_DUPLICATE' | 'ALLOW_DUPLICATE',
): Promise<boolean> {
  try {
    await client.withDeadline(Date.now() + DEADLINE_MS, () =>
      client.workflow.start(workflowType, { ...options, workflowIdReusePolicy }),
    )
    return true
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false
    throw error
  }
}
