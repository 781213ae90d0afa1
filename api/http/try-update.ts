import type { Client } from '@temporalio/client'
import type { Log } from '../../log.ts'
import type { Start, Update } from '../../temporal/starts.ts'
import { executeUpdate } from '../../temporal/update.ts'

/** Never throws: the row of its command says what came of it. */
export type TryUpdate = (start: Start, update: Update) => Promise<void>

/**
 * Sends a command to its workflow, which is started where it is not there yet, and waits until it is
 * done, at most five seconds. The sweep sends a command again that gets lost on the way.
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
