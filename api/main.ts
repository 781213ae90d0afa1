import { serve } from '@hono/node-server'
import { loadConfigOrExit } from '../config.ts'
import { createCipher } from '../core/secrets.ts'
import { openDb } from '../db/client.ts'
import { sandboxStore } from '../db/sandbox-charges.ts'
import { createProviders } from '../providers/index.ts'
import { createApp } from './app.ts'
import { createStarter } from './start.ts'
import { createTemporalClient } from './temporal.ts'
import { createUpdater } from './update.ts'

const STATEMENT_TIMEOUT_MS = 5_000
const STOP_LIMIT_MS = 10_000

const config = loadConfigOrExit()
const db = openDb(config.DATABASE_URL, {
  poolMax: config.DATABASE_POOL_MAX,
  statementTimeoutMs: STATEMENT_TIMEOUT_MS,
})
const temporal = createTemporalClient({
  address: config.TEMPORAL_ADDRESS,
  namespace: config.TEMPORAL_NAMESPACE,
  tls: config.TEMPORAL_TLS,
  apiKey: config.TEMPORAL_API_KEY,
})

const app = createApp({
  db,
  temporal,
  tryStart: createStarter(temporal),
  tryUpdate: createUpdater(temporal),
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
  process.send?.({ port })
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
    process.exit(0)
  })
}
