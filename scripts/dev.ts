import { seedDemo } from '../db/merchants/seed.ts'
import { migrateDb } from '../db/migrate.ts'
import { checkPorts, portOf } from './start/ports.ts'
import { startProgram } from './start/programs.ts'
import { keepRunning } from './start/restarts.ts'
import {
  holdPidFile,
  isDiskFull,
  keptSecret,
  openState,
  releaseLock,
  statePath,
  takeLock,
} from './start/state.ts'
import { createSupervisor } from './start/supervisor.ts'
import { askPostgres, startPostgres } from './tools/postgres.ts'
import { tryConnect, waitUntilReady } from './tools/processes.ts'
import { startDevServer } from './tools/temporal.ts'
import { resolveTemporalCli } from './tools/temporal-binaries.ts'

const EXTERNAL_LIMIT_MS = 10_000
const LEFTOVERS_LIMIT_MS = 30_000

const { DATABASE_URL, TEMPORAL_ADDRESS } = process.env
const supervisor = createSupervisor({
  stopOrder: ['api', 'worker', 'Temporal', 'Postgres'],
  onStopped,
})
const { keep, stop } = supervisor
process.stdout.on('error', () => {}) // the terminal was closed, and Remit still has to stop
process.stderr.on('error', () => {})
start().catch((error) => stop(1, explain(error)))

/** Starts everything for `npm start`, after the packages are installed. */
async function start(): Promise<void> {
  const ports = readPorts()
  openState()
  const { wasKilled } = await takeLock()
  if (wasKilled) console.log('The last npm start was killed: waiting until what it left has ended')
  await checkPorts(toCheck(ports), wasKilled ? LEFTOVERS_LIMIT_MS : 0)

  const settings = {
    encryptionKey: process.env.REMIT_ENCRYPTION_KEY || keptSecret('encryption-key'),
    receiverSecret: process.env.DEV_RECEIVER_SECRET || keptSecret('receiver-secret', 'whsec_'),
    receiverUrl: `http://127.0.0.1:${ports.api}/dev/receiver`,
  }
  const [url, address] = await Promise.all([database(settings), temporal(ports)])
  const env = {
    ...process.env,
    NODE_ENV: 'development',
    DATABASE_URL: url,
    TEMPORAL_ADDRESS: address,
    PORT: `${ports.api}`,
    REMIT_ENCRYPTION_KEY: settings.encryptionKey,
    WEBHOOK_ALLOW_HTTP: 'true',
    WEBHOOK_ALLOW_PRIVATE_NETWORKS: 'true',
    DEV_RECEIVER_SECRET: settings.receiverSecret,
    UV_THREADPOOL_SIZE: '64', // otherwise endpoints whose names hang would hold up all look-ups
  }
  console.log('Starting the API and the worker')
  const programs = (['api', 'worker'] as const).map((name) =>
    keepRunning(supervisor, name, () => {
      const program = startProgram(name, env, (line) => console.log(`${name} | ${line}`))
      holdPidFile(name, program)
      return program
    }),
  )
  await Promise.all(programs.map(({ ready }) => ready))
  console.log(greeting(ports, url))
}

type Ports = ReturnType<typeof readPorts>

function readPorts() {
  return { api: portOf('PORT'), temporal: portOf('TEMPORAL_PORT'), ui: portOf('TEMPORAL_UI_PORT') }
}

function toCheck(ports: Ports) {
  const api = { variable: 'PORT', port: ports.api }
  if (TEMPORAL_ADDRESS) return [api]
  const also = `, or use the Temporal that is there: TEMPORAL_ADDRESS=127.0.0.1:${ports.temporal} npm start`
  return [
    api,
    { variable: 'TEMPORAL_PORT', port: ports.temporal, also },
    { variable: 'TEMPORAL_UI_PORT', port: ports.ui },
  ]
}

type Seed = Omit<Parameters<typeof seedDemo>[0], 'url'>

async function database(seed: Seed): Promise<string> {
  const url = DATABASE_URL || (await ownPostgres())
  const waiting = { name: 'The Postgres of DATABASE_URL', limitMs: EXTERNAL_LIMIT_MS }
  if (DATABASE_URL) await waitUntilReady(waiting, () => askPostgres(url))
  await migrateDb(url)
  await seedDemo({ url, ...seed })
  return url
}

async function ownPostgres(): Promise<string> {
  console.log('Starting Postgres')
  return keep('Postgres', await startPostgres({ dataDir: statePath('postgres') })).url
}

async function temporal(ports: Ports): Promise<string> {
  if (!TEMPORAL_ADDRESS) return ownTemporal(ports)
  const { hostname, port } = new URL(`tcp://${TEMPORAL_ADDRESS}`)
  const waiting = { name: 'The Temporal of TEMPORAL_ADDRESS', limitMs: EXTERNAL_LIMIT_MS }
  await waitUntilReady(waiting, () => tryConnect(hostname, Number(port || 7233)))
  return TEMPORAL_ADDRESS
}

async function ownTemporal(ports: Ports): Promise<string> {
  const cli = await resolveTemporalCli((line) => console.log(line))
  console.log('Starting Temporal')
  const files = { dbFilename: statePath('temporal.db'), logFile: statePath('temporal.log') }
  const server = await startDevServer({ cli, port: ports.temporal, uiPort: ports.ui, ...files })
  return keep('Temporal', server).address
}

function greeting(ports: Ports, url: string): string {
  const api = `http://localhost:${ports.api}`
  const temporalLine = TEMPORAL_ADDRESS
    ? `Temporal          ${TEMPORAL_ADDRESS}`
    : `Temporal UI       http://localhost:${ports.ui}`
  return `
Remit is ready. Ctrl-C stops it, and the data stays in .remit/.

  API               ${api}
  Webhook receiver  ${api}/dev/receiver
  ${temporalLine}
  Postgres          ${DATABASE_URL ? 'the one of DATABASE_URL' : url}

Make a payment:

  curl -X POST ${api}/api/v1/payments \\
    -H "X-Api-Key: key_test_abc123" -H "X-Api-Secret: secret_test_xyz789" \\
    -H "Content-Type: application/json" \\
    -d '{"amount": 50000, "currency": "INR", "method": "upi", "order_id": "ord_test_001", "vpa": "test@upi"}'
`
}

function onStopped(): void {
  releaseLock()
  if (isDiskFull()) console.error('The disk is full. Make room, then run npm start again.')
}

function explain(error: Error): string {
  return error.cause ? `${error.message}\n${error.cause}` : error.message
}
