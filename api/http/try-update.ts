import type { Client } from '@temporalio/client'
import type { Log } from '../../log.ts'
import type { Start, Update } from '../../temporal/starts.ts'
import { executeUpdate } from '../../temporal/update.ts'

/** Never throws, because the row of the command has the outcome. */
export type TryUpdate = (start: Start, update: Update) => Promise<void>

/**
 * Returns a function that sends a command to its workflow, and starts the workflow if it does not
 * exist yet. The function waits until the command is done, for at most five seconds. If a command
 * gets lost on the way, the sweep sends the command again.
 */
export function createUpdater(temporal: Client, log: Log): TryUpdate {
  return async (start, update) => {
    try {
      await executeUpdate(temporal, start, update)
    } catch (error) {
      const about = { workflow_id: start.workflowId, command_id: update.id, err: error }
      log.warn(about, 'Left to the sweep')
    }
  }
}
