import { type Client, WithStartWorkflowOperation } from '@temporalio/client'
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common'
import { withinLimit } from '../core/limit.ts'
import type { Start, Update } from './starts.ts'

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

/**
 * Sends a command to a workflow, and waits until that has heard it, not for its answer. Where it has
 * closed, another run is started with it: one that came up without it could end before it comes.
 */
export async function sendUpdate(client: Client, start: Start, update: Update) {
  const { workflowType, ...options } = start
  const { id: updateId, name, args } = update
  const startWorkflowOperation = new WithStartWorkflowOperation(workflowType, {
    ...options,
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    workflowIdConflictPolicy: 'USE_EXISTING',
  })
  startWorkflowOperation.workflowHandle().catch(() => {}) // it fails as the update does
  // The client's deadline does not cover its waits between tries.
  const sending = client.withDeadline(Date.now() + DEADLINE_MS, () =>
    client.workflow.startUpdateWithStart(name, {
      updateId,
      args,
      waitForStage: 'ACCEPTED',
      startWorkflowOperation,
    }),
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
