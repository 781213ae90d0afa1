import { DefaultLogger, type LogEntry } from '@temporalio/worker'

/** One line for each warning, with the id that finds the rest in Temporal's UI; errors have a stack. */
export function createLogger(): DefaultLogger {
  return new DefaultLogger('WARN', (entry) => console.error(toLine(entry)))
}

function toLine({ level, message, meta = {} }: LogEntry): string {
  const { workflowId, activityType, error } = meta
  const about = [activityType, workflowId].filter(Boolean).join(' of ')
  const stack = level === 'ERROR' && error instanceof Error ? `\n${error.stack}` : ''
  return [level, message, about, causeOf(error)].filter(Boolean).join(' | ') + stack
}

/** The innermost message says what happened, those around it only where. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  return error.cause instanceof Error ? causeOf(error.cause) : error.message
}
