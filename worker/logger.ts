import { DefaultLogger, type LogMetadata } from '@temporalio/worker'
import type { Log } from '../log.ts'

/** The SDK's messages about its own work, up to `INFO`, are for debugging only. */
const levels = {
  TRACE: 'debug',
  DEBUG: 'debug',
  INFO: 'debug',
  WARN: 'warn',
  ERROR: 'error',
} as const

/** Logs the messages of the SDK and its core, with the ids that find the rest in Temporal's UI. */
export function createLogger(log: Log): DefaultLogger {
  return new DefaultLogger('DEBUG', ({ level, message, meta = {} }) =>
    log[levels[level]](toFields(meta), message),
  )
}

function toFields(meta: LogMetadata) {
  const { workflowId, workflowRunId, runId = workflowRunId, workflowType, activityType } = meta
  const { attempt, taskQueue, sdkComponent, error, err = error, ...rest } = meta
  return {
    workflow_id: workflowId,
    run_id: runId,
    workflow_type: workflowType,
    activity_type: activityType,
    attempt,
    task_queue: taskQueue,
    ...(sdkComponent === 'core' && rest),
    ...(err !== undefined && { err }),
  }
}
