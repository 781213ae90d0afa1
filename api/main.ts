import { loadConfigOrExit } from '../config.ts'
import { createCipher } from '../core/secrets.ts'
import { openDb } from '../db/client.ts'
import { openLog } from '../log.ts'
import { createProviders } from '../providers/index.ts'
import { createTemporalClient } from '../temporal/client.ts'
import { createApp } from './app.ts'
import { listen } from './http/server.ts'
import { createStarter } from './http/try-start.ts'
import { createUpdater } from './http/try-update.ts'

const STATEMENT_TIMEOUT_MS = 5_000
const STOP_LIMIT_MS = 20_000 // above the time that the slowest request may take

const config = loadConfigOrExit(['PUBLIC_URL'])
const log = await openLog('api', config)
const db = openDb(config.DATABASE_URL, {
  poolMax: config.DATABASE_POOL_MAX,
  statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  log,
})
const temporal = createTemporalClient({
  address: config.TEMPORAL_ADDRESS,
  namespace: config.TEMPORAL_NAMESPACE,
  tls: config.TEMPORAL_TLS,
  apiKey: config.TEMPORAL_API_KEY,
})
const stopping = new AbortController()

const app = createApp({
  log,
  db,
  temporal,
  tryStart: createStarter(temporal, log),
  tryUpdate: createUpdater(temporal, log),
  providers: createProviders({
    db,
    sandboxDelay: config.SANDBOX_DELAY_MS,
    now: () => new Date(),
  }),
  cipher: createCipher(config.REMIT_ENCRYPTION_KEY),
  outbound: {
    allowHttp: config.WEBHOOK_ALLOW_HTTP,
    allowPrivateNetworks: config.WEBHOOK_ALLOW_PRIVATE_NETWORKS,
  },
  publicUrl: config.PUBLIC_URL ?? `http://localhost:${config.PORT}`,
  rateLimitPerSecond: config.RATE_LIMIT_PER_SECOND,
  receiverSecret: config.DEV_RECEIVER_SECRET,
  stopping: stopping.signal,
})

const server = listen(app.fetch, {
  log,
  hostname: config.HOST,
  port: config.PORT,
  stopping: stopping.signal,
  onListening: (port) => {
    log.info({}, `Listening on ${config.HOST}:${port}`)
    process.send?.({ port })
  },
})

for (const signal of ['SIGINT', 'SIGTERM', 'disconnect'] as const) process.on(signal, stop)

/** Answers the requests that have come in, and accepts no more. */
async function stop(): Promise<void> {
  if (stopping.signal.aborted) return
  stopping.abort()
  log.info({}, 'Stopping')
  setTimeout(giveUp, STOP_LIMIT_MS).unref()
  await server.stop()
  await Promise.allSettled([db.$client.end(), temporal.connection.close()])
  process.exit(0)
}

/**
 * No request should be left, because every request has a limit below `STOP_LIMIT_MS`. The exit code
 * is 1 if a request is left.
 */
function giveUp(): void {
  const requests = server.underWay()
  log.warn({ requests }, `Still not stopped after ${STOP_LIMIT_MS / 1000} s: ending all the same`)
  process.exit(requests > 0 ? 1 : 0)
}
