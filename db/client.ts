import { drizzle } from 'drizzle-orm/node-postgres'
import { Pool } from 'pg'
import * as ledger from './ledger-schema.ts'
import * as core from './schema.ts'
import * as webhooks from './webhook-schema.ts'

/** Every table, by its name in the code. */
export const schema = { ...core, ...webhooks, ...ledger }

type Options = { poolMax?: number; statementTimeoutMs: number }

/** Waiting for a connection has a limit too: an API without its database answers 503, and soon. */
const CONNECT_TIMEOUT_MS = 5_000
const NETWORK_SLACK_MS = 1_000

export function openDb(url: string, { poolMax = 10, statementTimeoutMs }: Options) {
  const client = new Pool({
    connectionString: url,
    max: poolMax,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + NETWORK_SLACK_MS, // a network that drops packets says nothing
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: statementTimeoutMs * 2,
  })
  // An idle connection that the server closes is no more than a connection to make anew.
  client.on('error', (error) => console.error(`Postgres closed a connection: ${error.message}`))
  return drizzle({ client, schema, casing: 'snake_case' })
}

export type Db = ReturnType<typeof openDb>
export type Tx = Parameters<Parameters<Db['transaction']>[0]>[0]
