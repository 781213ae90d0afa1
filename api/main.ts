import { serve } from '@hono/node-server'
import { Client, Connection } from '@temporalio/client'
import { loadConfig } from '../config.ts'
import { createCipher } from '../core/secrets.ts'
import { openDb } from '../db/client.ts'
import { sandboxStore } from '../db/sandbox-charges.ts'
import { createProviders } from '../providers/index.ts'
import { createApp } from './app.ts'
import { createStarter } from './start.ts'

const STATEMENT_TIMEOUT_MS = 5_000
const STOP_LIMIT_MS = 10_000
/** After an outage of Temporal the channel is back this soon. */
const RECONNECT_MAX_MS = 5_000

const config = loadConfig()
const db = openDb(config.DATABASE_URL, {
  poolMax: config.DATABASE_POOL_MAX,
  statementTimeoutMs: STATEMENT_TIMEOUT_MS,
})
// Lazy: an API whose Temporal is away takes payments all the same.
const connection = Connection.lazy({
  address: config.TEMPORAL_ADDRESS,
  ...(config.TEMPORAL_TLS && { tls: true }),
  ...(config.TEMPORAL_API_KEY && { apiKey: config.TEMPORAL_API_KEY }),
  channelArgs: { 'grpc.max_reconnect_backoff_ms': RECONNECT_MAX_MS },
})
const temporal = new Client({ connection, namespace: config.TEMPORAL_NAMESPACE })

const app = createApp({
  db,
  temporal,
  tryStart: createStarter(temporal),
  providers: createProviders({
    sandboxStore: sandboxStore(db),
    sandboxDelay: config.SANDBOX_DELAY_MS,
    now: () => new Date(),
  }),
  cipher: createCipher(config.REMIT_ENCRYPTION_KEY),
  outbound: {
    allowHttp: config.WEBHOOK_ALLOW_HTTP,
    allowPrivateNetworks: config.WEBHOOK_ALLOW_PRIVATE_NETWORKS,
  },
  rateLimitPerSecond: config.RATE_LIMIT_PER_SECOND,
  receiverSecret: config.DEV_RECEIVER_SECRET,
})

const server = serve({ fetch: app.fetch, hostname: config.HOST, port: config.PORT }, ({ port }) => {
  console.log(`Listening on ${config.HOST}:${port}`)
  process.send?.('ready')
})

let stopping = false
for (const signal of ['SIGINT', 'SIGTERM', 'disconnect'] as const) process.on(signal, stop)

/** Answers what has come in, and takes nothing more. */
function stop(): void {
  if (stopping) return
  stopping = true
  setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref()
  server.close(async () => {
    await db.$client.end()
    await connection.close()
    process.exit(0)
  })
}
