import { type Client, WithStartWorkflowOperation } from '@temporalio/client'
import type { Workflow } from '@temporalio/common'
import { withinLimit } from '../core/limit.ts'
import type { Start, Update } from './starts.ts'

const DEADLINE_MS = 5_000

/**
 * Sends a command to a workflow, and waits until the workflow has accepted the command, not for the
 * answer. If the workflow has closed, another run is started with the command: a run that came up
 * without the command could end before the command arrives.
 */
export function sendUpdate(client: Client, start: Start, update: Update): Promise<void> {
  const startWorkflowOperation = startFor(start, 'ALLOW_DUPLICATE')
  const { id: updateId, name, args } = update
  return withDeadline(client, () =>
    client.workflow.startUpdateWithStart(name, {
      updateId,
      args,
      waitForStage: 'ACCEPTED',
      startWorkflowOperation,
    }),
  )
}

/**
 * Sends a command to a workflow, and waits for the answer. If the workflow was never started, it is
 * started with the command. If the workflow has closed, only a command with `again` starts another
 * run.
 */
export function executeUpdate(client: Client, start: Start, update: Update): Promise<void> {
  const { id: updateId, name, args, again } = update
  const startWorkflowOperation = startFor(start, again ? 'ALLOW_DUPLICATE' : 'REJECT_DUPLICATE')
  return withDeadline(client, () =>
    client.workflow.executeUpdateWithStart(name, { updateId, args, startWorkflowOperation }),
  )
}

function startFor(
  { workflowType, ...options }: Start,
  workflowIdReusePolicy: 'REJECT_DUPLICATE' | 'ALLOW_DUPLICATE',
) {
  const operation = new WithStartWorkflowOperation<Workflow>(workflowType, {
    ...options,
    workflowIdReusePolicy,
    workflowIdConflictPolicy: 'USE_EXISTING',
  })
  operation.workflowHandle().catch(() => {}) // this promise fails if the update fails
  return operation
}

/** The client's deadline does not cover the client's waits between tries. */
async function withDeadline(client: Client, send: () => Promise<unknown>): Promise<void> {
  await withinLimit(DEADLINE_MS, client.withDeadline(Date.now() + DEADLINE_MS, send))
}
