import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Client, Connection } from '@temporalio/client'
import { migrateDb } from '../db/migrate.ts'
import { controlPayer, startControlWorker } from './bench/control.ts'
import { memoryMbOf, peakMbOf } from './bench/costs.ts'
import { findLeftovers } from './bench/leftovers.ts'
import { measureThroughput } from './bench/load.ts'
import { addMerchant, remitPayer } from './bench/remit.ts'
import { toText } from './bench/report.ts'
import { historyEventsPer, measureRound, newSide } from './bench/sides.ts'
import { startProgram } from './start/programs.ts'
import { createSupervisor } from './start/supervisor.ts'
import { startPostgres } from './tools/postgres.ts'
import { tryPort } from './tools/processes.ts'
import { startDevServer } from './tools/temporal.ts'
import { resolveTemporalCli } from './tools/temporal-binaries.ts'

const PER_SECOND = 5
const WARM_UP = 50
const REST_MS = 2_000 // one side finishes its remaining work before the other side begins

const { values: options } = parseArgs({
  options: {
    payments: { type: 'string' }, // through each side, as fast as each side can
    timed: { type: 'string' }, // through each side, 5 a second
    rounds: { type: 'string' },
    'in-flight': { type: 'string', default: '20' },
    quick: { type: 'boolean', default: false },
    profile: { type: 'string' }, // a folder for CPU profiles of the api and the worker
  },
})
const [payments, timed, rounds] = options.quick ? [300, 50, 2] : [2_000, 300, 5]
const total = {
  payments: Number(options.payments ?? payments),
  timed: Number(options.timed ?? timed),
  rounds: Number(options.rounds ?? rounds),
}

const folder = mkdtempSync(join(tmpdir(), 'remit-bench-'))
const { keep, stop } = createSupervisor({
  stopOrder: ['api', 'worker', 'control', 'Temporal', 'Postgres'],
  onStopped: () => rmSync(folder, { recursive: true, force: true }),
})
bench().then(
  (leftovers) => stop(leftovers.length === 0 ? 0 : 1),
  (error) => stop(1, error.stack),
)

/**
 * Measures the control and Remit in turn, so that noise hits both. Returns the leftovers of both.
 */
async function bench(): Promise<string[]> {
  const { url, client, control, api, worker } = await startAll()
  const [bare, remit] = [
    newSide({
      pay: controlPayer(client, control),
      workflowTypes: ['barePayment', 'bareDelivery'],
      pids: { worker: control.pid },
    }),
    newSide({
      pay: await remitPayer(`http://127.0.0.1:${await api.ready}`, await addMerchant(url)),
      workflowTypes: ['processPayment', 'deliverWebhook'],
      pids: { worker: worker.pid, api: api.pid },
    }),
  ]
  const memory: string[] = []
  const round = {
    payments: Math.ceil(total.payments / total.rounds),
    timed: Math.ceil(total.timed / total.rounds),
    rounds: total.rounds,
    inFlight: Number(options['in-flight']),
    perSecond: PER_SECOND,
  }
  for (const side of [bare, remit]) await measureThroughput(side.pay, WARM_UP, round.inFlight)
  for (let n = 1; n <= total.rounds; n++) {
    for (const side of [bare, remit]) {
      await setTimeout(REST_MS)
      await measureRound(side, round)
    }
    memory.push(`${memoryMbOf(worker.pid).toFixed(0)}/${memoryMbOf(api.pid).toFixed(0)}`)
    console.log(`Round ${n} of ${total.rounds} is done`)
  }
  const leftovers = await findLeftovers(url, client)
  const [bareEvents, remitEvents] = [
    await historyEventsPer(client, bare),
    await historyEventsPer(client, remit),
  ]
  console.log(`
${toText({ ...bare, historyEvents: bareEvents }, { ...remit, historyEvents: remitEvents })}
memory of worker/api, MB, round by round: ${memory.join(', ')}; at most ${peakMbOf(worker.pid).toFixed(0)}/${peakMbOf(api.pid).toFixed(0)}, target ≤ 400/200
starts that took longer than a second, and were left to the sweep: ${leftToSweep}
left over: ${leftovers.join(', ') || 'no row to sweep, no workflow open'}
`)
  return leftovers
}

async function startAll() {
  const [url, address] = await Promise.all([startDatabase(), startTemporal()])
  const env = {
    ...process.env,
    NODE_ENV: 'test', // logs like production: JSON, every request
    LOG_LEVEL: 'info',
    DATABASE_URL: url,
    TEMPORAL_ADDRESS: address,
    PORT: '0',
    REMIT_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    SANDBOX_DELAY_MS: '0',
    RATE_LIMIT_PER_SECOND: '0',
    WEBHOOK_ALLOW_HTTP: 'true',
    WEBHOOK_ALLOW_PRIVATE_NETWORKS: 'true',
    UV_THREADPOOL_SIZE: '64',
  }
  const start = (name: 'api' | 'worker') =>
    keep(name, startProgram(name, env, printTrouble, profiling()))
  const [api, worker] = [start('api'), start('worker')]
  const control = keep('control', await startControlWorker(address))
  await Promise.all([api.ready, worker.ready])
  const client = new Client({ connection: await Connection.connect({ address }) })
  return { url, client, control, api, worker }
}

async function startDatabase(): Promise<string> {
  const { url } = keep('Postgres', await startPostgres())
  await migrateDb(url)
  return url
}

async function startTemporal(): Promise<string> {
  const cli = await resolveTemporalCli(console.log)
  const [port, logFile] = [await tryPort(0), join(folder, 'temporal.log')]
  return keep('Temporal', await startDevServer({ cli, port, logFile })).address
}

let leftToSweep = 0

/**
 * Prints warnings and worse, by pino's number of the level, and lines that are not lines of the
 * log. Counts the starts that were left to the sweep.
 */
function printTrouble(line: string): void {
  if (line.includes('Left to the sweep')) leftToSweep++
  else if (!/"level":[1-3]0,/.test(line)) console.log(line)
}

function profiling(): string[] {
  return options.profile ? ['--cpu-prof', `--cpu-prof-dir=${resolve(options.profile)}`] : []
}
