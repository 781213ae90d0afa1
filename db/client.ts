import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import { Pool, type PoolClient } from 'pg'
import { sha256 } from '../core/secrets.ts'
import type { Log } from '../log.ts'

type Options = {
  poolMax?: number
  connectTimeoutMs?: number
  statementTimeoutMs: number
  log?: Log // where a connection is told of that ends while nobody uses it
}

/** Waiting for a connection has a limit too: an API without its database answers 503, and soon. */
const CONNECT_TIMEOUT_MS = 5_000
const NETWORK_SLACK_MS = 1_000

export function openDb(url: string, options: Options): Db {
  const { poolMax = 10, connectTimeoutMs = CONNECT_TIMEOUT_MS, statementTimeoutMs, log } = options
  const client = new Pool({
    connectionString: url,
    max: poolMax,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + NETWORK_SLACK_MS, // a network that drops packets says nothing
    keepAlive: true,
    connectionTimeoutMillis: connectTimeoutMs,
    idle_in_transaction_session_timeout: statementTimeoutMs * 2,
  })
  // A connection that the server closes is one to make anew, whether it was idle or in use: without
  // a listener of its own, each of them would end the process.
  client.on('error', (err) => log?.warn({ err }, 'Postgres closed a connection'))
  client.on('connect', (connection) => {
    connection.on('error', () => {})
    prepareStatements(connection)
  })
  const db = drizzle({ client, casing: 'snake_case' })
  return Object.assign(db, { transaction: transactions(client) as typeof db.transaction })
}

/** Above all the statements that the code has; those with a list in them come in any number. */
const STATEMENTS_MAX = 300
const NAME_CHARS = 32
const statementNames = new Map<string, string>()

/**
 * Gives each statement a name, so that Postgres parses and plans it once per connection, and not at
 * each use. What has no parameters, such as `begin`, stays as it is.
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

/** By its text: a pooler that mixes up two connections then mixes up the same statement. */
function nameOf(text: string): string | undefined {
  const known = statementNames.get(text)
  if (known || statementNames.size >= STATEMENTS_MAX) return known
  const name = sha256(text).slice(0, NAME_CHARS)
  statementNames.set(text, name)
  return name
}

/**
 * Drizzle's own would hide the first error behind that of its rollback, hand a broken connection
 * back to the pool, and keep for ever one whose `begin` failed.
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
