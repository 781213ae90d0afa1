import { Client } from '@temporalio/client'
import { NativeConnection, Runtime, type Worker } from '@temporalio/worker'
import { createActivities } from '../activities/index.ts'
import { createPost } from '../activities/webhooks/outbound.ts'
import { type Config, loadConfigOrExit } from '../config.ts'
import { createCipher } from '../core/secrets.ts'
import { defaultRetrySchedule, testRetrySchedule } from '../core/webhooks/retry-schedule.ts'
import { openDb } from '../db/client.ts'
import { openLog } from '../log.ts'
import { createProviders } from '../providers/index.ts'
import { serveHealth } from './health.ts'
import { createLogger } from './logger.ts'
import { ensureSchedules, setUpNamespace } from './setup.ts'
import { bundleWorkflowsApart, createWorker } from './worker.ts'

const STATEMENT_TIMEOUT_MS = 8_000 // several statements fit into an activity's 30 s
const RETRY_MS = 2_000
const KEEP_SCHEDULES_MS = 5 * 60_000

const config = loadConfigOrExit()
const log = await openLog('worker', config)
// The SDK ends its workers at the first signal. While there are no workers, we end the process.
let workers: Worker[] = []
let stopping = false
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    if (workers.length === 0) process.exit(0)
    if (!stopping) log.info({}, 'Stopping')
    stopping = true
  })
Runtime.install({
  logger: createLogger(log),
  telemetryOptions: { logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } } },
})
const health =
  config.WORKER_HEALTH_PORT === undefined
    ? undefined
    : serveHealth(config.WORKER_HEALTH_PORT, config.HOST, () => workers)
const db = openDb(config.DATABASE_URL, {
  poolMax: config.DATABASE_POOL_MAX,
  statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  log,
})
const post = createPost({
  allowHttp: config.WEBHOOK_ALLOW_HTTP,
  allowPrivateNetworks: config.WEBHOOK_ALLOW_PRIVATE_NETWORKS,
})

const now = () => new Date()
const activities = createActivities({
  log,
  db,
  providers: createProviders({
    db,
    sandboxDelay: config.SANDBOX_DELAY_MS,
    now,
  }),
  feeBps: config.FEE_BPS,
  eventRetentionDays: config.EVENT_RETENTION_DAYS,
  cipher: createCipher(config.REMIT_ENCRYPTION_KEY),
  post,
  now,
  retrySchedule: config.WEBHOOK_RETRY_INTERVALS_TEST ? testRetrySchedule : defaultRetrySchedule,
})

const [connection, workflowBundle] = await Promise.all([
  connect(config),
  config.WORKFLOW_BUNDLE ? { codePath: config.WORKFLOW_BUNDLE } : bundleWorkflowsApart(),
])
const namespace = config.TEMPORAL_NAMESPACE
const client = new Client({ connection, namespace })
await untilItWorks('Setting up the namespace', () => setUpNamespace(client, namespace, log))
workers = await Promise.all(
  config.WORKER_QUEUES.map((taskQueue) =>
    createWorker({ connection, namespace, taskQueue, activities, workflowBundle }),
  ),
)

// If Temporal has lost its state, the schedules are lost too.
const keeping = setInterval(() => {
  ensureSchedules(client).catch((err) => log.warn({ err }, 'No schedules'))
}, KEEP_SCHEDULES_MS)

// Workers end by themselves on SIGINT and SIGTERM. If the parent dies without a signal, send one.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
const running = Promise.all(workers.map((worker) => worker.run()))
log.info({}, `Polling ${config.WORKER_QUEUES.join(', ')} at ${config.TEMPORAL_ADDRESS}`)
process.send?.({ port: 0 })

await running
clearInterval(keeping)
health?.close()
await post.close()
await connection.close()
await db.$client.end()
if (process.connected) process.disconnect()

function connect(settings: Config): Promise<NativeConnection> {
  return untilItWorks(`Connecting to Temporal at ${settings.TEMPORAL_ADDRESS}`, () =>
    NativeConnection.connect({
      address: settings.TEMPORAL_ADDRESS,
      ...(settings.TEMPORAL_TLS && { tls: true }),
      ...(settings.TEMPORAL_API_KEY && { apiKey: settings.TEMPORAL_API_KEY }),
    }),
  )
}

/** Retries for ever, because a worker without Temporal has nothing else to do. */
async function untilItWorks<T>(what: string, attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt()
    } catch (err) {
      log.warn({ err }, `${what} failed, trying again`)
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }
}
