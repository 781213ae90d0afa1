import { Client } from '@temporalio/client'
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker'
import { createActivities } from '../activities/index.ts'
import { createPost } from '../activities/outbound.ts'
import { type Config, loadConfig } from '../config.ts'
import { defaultRetrySchedule, testRetrySchedule } from '../core/retry-schedule.ts'
import { createCipher } from '../core/secrets.ts'
import { openDb } from '../db/client.ts'
import { sandboxStore } from '../db/sandbox-charges.ts'
import { createProviders } from '../providers/index.ts'
import { setUpNamespace } from './setup.ts'
import { bundleWorkflows, createWorker } from './worker.ts'

const STATEMENT_TIMEOUT_MS = 30_000
const CONNECT_RETRY_MS = 2_000

const config = loadConfig()
Runtime.install({ logger: new DefaultLogger('WARN') })
const db = openDb(config.DATABASE_URL, {
  poolMax: config.DATABASE_POOL_MAX,
  statementTimeoutMs: STATEMENT_TIMEOUT_MS,
})
const post = createPost({
  allowHttp: config.WEBHOOK_ALLOW_HTTP,
  allowPrivateNetworks: config.WEBHOOK_ALLOW_PRIVATE_NETWORKS,
})

const now = () => new Date()
const activities = createActivities({
  db,
  providers: createProviders({
    sandboxStore: sandboxStore(db),
    sandboxDelay: config.SANDBOX_DELAY_MS,
    now,
  }),
  feeBps: config.FEE_BPS,
  cipher: createCipher(config.REMIT_ENCRYPTION_KEY),
  post,
  now,
  retrySchedule: config.WEBHOOK_RETRY_INTERVALS_TEST ? testRetrySchedule : defaultRetrySchedule,
})

const [connection, workflowBundle] = await Promise.all([connect(config), bundleWorkflows()])
const namespace = config.TEMPORAL_NAMESPACE
await setUpNamespace(new Client({ connection, namespace }), namespace)
const workers = await Promise.all(
  config.WORKER_QUEUES.map((taskQueue) =>
    createWorker({ connection, namespace, taskQueue, activities, workflowBundle }),
  ),
)

// Workers end by themselves on SIGINT and SIGTERM; a parent that dies without one ends them too.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
const running = Promise.all(workers.map((worker) => worker.run()))
console.log(`Polling ${config.WORKER_QUEUES.join(', ')} at ${config.TEMPORAL_ADDRESS}`)
process.send?.('ready')

await running
await post.close()
await connection.close()
await db.$client.end()
if (process.connected) process.disconnect()

/** Waits for Temporal as long as it takes: a worker has nothing else to do. */
async function connect(settings: Config): Promise<NativeConnection> {
  for (;;) {
    try {
      return await NativeConnection.connect({
        address: settings.TEMPORAL_ADDRESS,
        ...(settings.TEMPORAL_TLS && { tls: true }),
        ...(settings.TEMPORAL_API_KEY && { apiKey: settings.TEMPORAL_API_KEY }),
      })
    } catch (error) {
      console.error(`Temporal does not answer at ${settings.TEMPORAL_ADDRESS}: ${error}`)
      await new Promise((resolve) => setTimeout(resolve, CONNECT_RETRY_MS))
    }
  }
}
