import { type Client, WithStartWorkflowOperation } from '@temporalio/client'
import { withinLimit } from '../core/limit.ts'
import type { Start, Update } from '../temporal/starts.ts'
import type { Log } from '../log.ts'

const DEADLINE_MS = 5_000

/** Never throws: the row of its command says what came of it. */
export type TryUpdate = (start: Start, update: Update) => Promise<void>

/**
 * Sends a command to its workflow, which is started where it is not there yet, and waits until it is
 * done, at most five seconds. One that gets lost on the way is sent again by the sweep.
 */
export function createUpdater(temporal: Client, log: Log): TryUpdate {
  return async ({ workflowType, ...options }, { id: updateId, name, args, again }) => {
    const startWorkflowOperation = new WithStartWorkflowOperation(workflowType, {
      ...options,
      workflowIdReusePolicy: again ? 'ALLOW_DUPLICATE' : 'REJECT_DUPLICATE',
      workflowIdConflictPolicy: 'USE_EXISTING',
    })
    startWorkflowOperation.workflowHandle().catch(() => {}) // it fails as the update does
    try {
      const updating = temporal.withDeadline(Date.now() + DEADLINE_MS, () =>
        temporal.workflow.executeUpdateWithStart(name, { updateId, args, startWorkflowOperation }),
      )
      await withinLimit(DEADLINE_MS, updating)
    } catch (error) {
      const about = { workflow_id: options.workflowId, command_id: updateId, err: error }
      log.warn(about, 'Left to the sweep')
    }
  }
}
