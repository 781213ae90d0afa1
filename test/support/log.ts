import pino from 'pino'
import { toLog } from '../../log.ts'

export const silent = toLog(pino({ level: 'silent' }))

type Line = Record<string, unknown> & {
  level: number
  msg: string
  err?: { message: string; stack?: string }
}

/** Returns a log, and the lines that were written to the log so far. */
export function keptLog() {
  const lines: Line[] = []
  const log = toLog(pino({ level: 'debug' }, { write: (text) => lines.push(JSON.parse(text)) }))
  return { log, lines }
}
