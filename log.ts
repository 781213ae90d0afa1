import pino from 'pino'
import type { Config } from './config.ts'
import { scrub, scrubbed, scrubStack } from './core/scrub.ts'
import { withoutParameters } from './db/errors.ts'

type Level = 'debug' | 'info' | 'warn' | 'error'
type Fields = Record<string, unknown> & { err?: unknown }

/** `err` is an error of any kind; the other fields are ids and figures, never content. */
export type Log = Record<Level, (fields: Fields, message: string) => void> & {
  /** Returns a log that adds these fields to every line. */
  child: (fields: Fields) => Log
}

const CHAIN_MAX = 6
const ERROR = 50 // pino's number for the level `error`

/**
 * Opens the log of a process, for its main.ts. Lines are JSON, and readable text in development.
 * Every line reaches pino through `toLog`, so every line is scrubbed. An exception that crashes the
 * process is logged too.
 */
export async function openLog(name: 'api' | 'worker', config: Config): Promise<Log> {
  const level = config.LOG_LEVEL ?? (config.NODE_ENV === 'test' ? 'warn' : 'info')
  const options = { name, level, timestamp: pino.stdTimeFunctions.isoTime, serializers }
  const log = toLog(
    config.NODE_ENV === 'development' ? pino(options, await readableLines()) : pino(options),
  )
  process.on('uncaughtException', (err) => {
    log.error({ err }, 'The process can not go on')
    process.exit(1)
  })
  return log
}

/** Replaces pino's serializer, which would overwrite the `type` that `describe` returns. */
const serializers = { err: (told: unknown) => told }

export function toLog(lines: pino.Logger): Log {
  const write =
    (level: Level) =>
    ({ err, ...fields }: Fields, message: string) => {
      if (!lines.isLevelEnabled(level)) return
      const told = err === undefined ? {} : { err: describe(err) }
      lines[level]({ ...(scrubbed(fields) as object), ...told }, scrub(message))
    }
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => toLog(lines.child(scrubbed(fields) as object)),
  }
}

/**
 * Describes an error without the data attached to the error: a query's parameters, a row's values,
 * a response. If an error has causes, the last message says what happened, and the messages before
 * the last say where.
 */
function describe(error: unknown) {
  const chain = chainOf(error)
  const { name, code } = (chain[0] ?? {}) as { name?: string; code?: unknown }
  return {
    type: name,
    message: scrub([...new Set(chain.map(messageOf))].join(': ')),
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    stack: scrubStack(chain.map(stackOf).join('\ncaused by: ')),
  }
}

function chainOf(error: unknown): unknown[] {
  const chain = [withoutParameters(error)]
  for (
    let last = chain[0];
    last instanceof Error && last.cause !== undefined;
    last = chain.at(-1)
  ) {
    if (chain.length === CHAIN_MAX) break
    chain.push(withoutParameters(last.cause))
  }
  return chain
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : `${error}`
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? `${error}`) : `${error}`
}

/** Prints one line each, and an error's stack below. A production install has no pino-pretty. */
async function readableLines() {
  const { default: pretty } = await import('pino-pretty')
  return pretty({
    sync: true,
    hideObject: true,
    translateTime: 'SYS:HH:MM:ss',
    ignore: 'pid,hostname,name',
    messageFormat,
  })
}

type Line = {
  msg: string
  level: number
  err?: { message: string; stack: string }
} & Record<string, unknown>

/** Readable lines omit what the message says, what never changes, and what Temporal's UI shows. */
const untold = [
  ...['time', 'pid', 'hostname', 'name', 'method', 'path', 'status', 'ms'],
  ...['run_id', 'workflow_type', 'task_queue'],
]

function messageFormat(line: Record<string, unknown>): string {
  const { msg, level, err, ...fields } = line as Line
  const isError = level >= ERROR
  const told = Object.entries(fields)
    .filter(([name]) => !untold.includes(name))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  const what = err && !isError ? `${msg}: ${err.message}` : msg
  return [what, ...told].join(' ') + (err && isError ? `\n${err.stack}` : '')
}
