import { DrizzleQueryError } from 'drizzle-orm'

/**
 * Returns a database error without the query's parameters. Parameters hold values that neither a
 * log nor a workflow's history may show.
 */
export function withoutParameters(error: unknown): unknown {
  if (!(error instanceof DrizzleQueryError)) return error
  const { cause } = error
  const message = cause instanceof Error ? cause.message : 'The query failed'
  const told = new Error(`Postgres: ${message}`)
  if (cause instanceof Error && cause.stack) told.stack = cause.stack
  return Object.assign(told, { name: 'PostgresError', code: codeOf(cause) })
}

const networkCodes = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'ENOENT']
const networkMessages =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|not queryable/
/**
 * These SQLSTATEs mean: connection errors, deadlocks, too few resources, a shutdown by an operator,
 * the statement timeout.
 */
const passingStates = /^(08|40P01|53|57P|57014)/

/** Returns true if the database is away or overloaded, so that the same query may work later. */
export function isUnavailable(error: unknown): boolean {
  const cause = error instanceof DrizzleQueryError ? error.cause : error
  if (cause instanceof AggregateError) return cause.errors.some(isUnavailable)
  const code = codeOf(cause)
  if (networkCodes.includes(code) || passingStates.test(code)) return true
  return cause instanceof Error && networkMessages.test(cause.message)
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : ''
}
