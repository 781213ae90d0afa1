import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import { Pool, type PoolClient } from 'pg'
import { sha256 } from '../core/secrets.ts'
import type { Log } from '../log.ts'

type Options = {
  poolMax?: number
  connectTimeoutMs?: number
  statementTimeoutMs: number
  log?: Log // receives a warning when an idle connection ends
}

/**
 * The wait for a connection has a limit too, so that an API without its database soon answers 503.
 */
const CONNECT_TIMEOUT_MS = 5_000
const NETWORK_SLACK_MS = 1_000

export function openDb(url: string, options: Options): Db {
  const { poolMax = 10, connectTimeoutMs = CONNECT_TIMEOUT_MS, statementTimeoutMs, log } = options
  const client = new Pool({
    connectionString: url,
    max: poolMax,
    statement_timeout: statementTimeoutMs,
    // The client ends a query itself, because a network that drops packets reports no error.
    query_timeout: statementTimeoutMs + NETWORK_SLACK_MS,
    keepAlive: true,
    connectionTimeoutMillis: connectTimeoutMs,
    idle_in_transaction_session_timeout: statementTimeoutMs * 2,
  })
  // The pool replaces a connection that the server closes, whether the connection is idle or in
  // use. Without an error listener on the pool and on each connection, the error would end the
  // process.
  client.on('error', (err) => log?.warn({ err }, 'Postgres closed a connection'))
  client.on('connect', (connection) => {
    connection.on('error', () => {})
    prepareStatements(connection)
  })
  const db = drizzle({ client, casing: 'snake_case' })
  return Object.assign(db, { transaction: transactions(client) as typeof db.transaction })
}

/**
 * This limit is above the number of statements in the code. A statement with a list in it has a
 * different text for each length of the list.
 */
const STATEMENTS_MAX = 300
const NAME_CHARS = 32
const statementNames = new Map<string, string>()

/**
 * Gives each statement a name, so that Postgres parses and plans the statement once per connection,
 * not at each use. A statement without parameters, such as `begin`, gets no name.
 */
function prepareStatements(connection: PoolClient): void {
  const query = connection.query.bind(connection) as (...args: unknown[]) => unknown
  const named = (config: unknown, ...rest: unknown[]) =>
    query(isStatement(config, rest[0]) ? { ...config, name: nameOf(config.text) } : config, ...rest)
  connection.query = named as typeof connection.query
}

function isStatement(config: unknown, values: unknown): config is { text: string } {
  if (!Array.isArray(values) || values.length === 0) return false
  return typeof config === 'object' && config !== null && 'text' in config && !('submit' in config)
}

/**
 * Makes the name from the text alone. If a pooler mixes up two connections, a name still means the
 * same statement on both.
 */
function nameOf(text: string): string | undefined {
  const known = statementNames.get(text)
  if (known || statementNames.size >= STATEMENTS_MAX) return known
  const name = sha256(text).slice(0, NAME_CHARS)
  statementNames.set(text, name)
  return name
}

/**
 * Replaces Drizzle's `transaction`. That function hides the first error behind the error of its
 * rollback, hands a broken connection back to the pool, and never releases a connection whose
 * `begin` failed.
 */
function transactions(pool: Pool) {
  return async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
    const client = await pool.connect()
    let broken: Error | undefined
    try {
      await client.query('begin')
      const result = await work(drizzle({ client, casing: 'snake_case' }) as unknown as Tx)
      await client.query('commit')
      return result
    } catch (error) {
      await client.query('rollback').catch((failure) => {
        broken = failure
      })
      throw error
    } finally {
      client.release(broken)
    }
  }
}

export type Tx = Parameters<Parameters<NodePgDatabase['transaction']>[0]>[0]
export type Db = NodePgDatabase & { $client: Pool }
