import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from '@temporalio/client'
import { sql } from 'drizzle-orm'
import type { Db } from '../../db/client.ts'
import { inboundEvents } from '../../db/invoices/schema.ts'
import { orders, paymentLinks, payments } from '../../db/payments/schema.ts'
import { payouts } from '../../db/payouts/schema.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { commands } from '../../db/requests/schema.ts'
import { deliveries } from '../../db/webhooks/schema.ts'
import { type Program, startProgram } from '../../scripts/start/programs.ts'
import { tryPort, waitUntilReady } from '../../scripts/tools/processes.ts'
import { startDevServer } from '../../scripts/tools/temporal.ts'
import { createTemporalClient } from '../../temporal/client.ts'
import { testKey } from '../support/cipher.ts'
import { pause } from '../support/stack.ts'

type Name = Parameters<typeof startProgram>[0]
type Options = {
  database: { db: () => Db; url: () => string }
  env?: (name: Name) => NodeJS.ProcessEnv
}

const LOG_LINES = 40
const LINE_LENGTH = 300
const SETTLE_LIMIT_MS = 400_000 // an activity whose worker was killed is tried again after 30 s
const PASS_TIME_EVERY_MS = 3_000
const LOOK_EVERY_MS = 500

/**
 * Runs Remit as in production: an api and a worker as separate processes, a Temporal with its state
 * in a file, and the given database. A killed program starts again at the same address.
 */
export function testRemit({ database, env = () => ({}) }: Options) {
  const running = new Map<Name, Program>()
  const log: string[] = []
  const endedByThemselves: string[] = []
  let folder: string
  let ports: { api: number; temporal: number }
  let server: Awaited<ReturnType<typeof startDevServer>>
  let client: Client
  let lives = 0 // counts the losses of Temporal's state

  async function startTemporal(): Promise<void> {
    const { TEMPORAL_CLI: cli } = process.env
    assert(cli, 'set by test/support/global-setup.ts')
    const files = { logFile: join(folder, 'log'), dbFilename: join(folder, `temporal-${lives}.db`) }
    server = await startDevServer({ cli, port: ports.temporal, ...files })
  }

  function start(name: Name): Program {
    const programEnv = { ...baseEnv(database.url(), ports), ...env(name) }
    const program = startProgram(name, programEnv, (line) => log.push(`${name} | ${line}`))
    running.set(name, program)
    void program.exited.then((how) => {
      if (running.get(name) === program) endedByThemselves.push(`${name}: ${how}`)
    })
    return program
  }

  async function kill(name: Name): Promise<void> {
    const program = running.get(name)
    running.delete(name)
    await program?.kill()
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'remit-faults-'))
    ports = { api: await tryPort(0), temporal: await tryPort(0) }
    await startTemporal()
    client = createTemporalClient({ address: server.address, namespace: 'default' })
    await Promise.all([start('api').ready, start('worker').ready])
  })

  afterAll(async () => {
    await Promise.all([kill('api'), kill('worker')])
    await client?.connection.close()
    await server?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  /**
   * Does what a wait of minutes would do, because a test has no time to wait. Waiting rows become
   * due by every clock, also rows that have ended and wait because of a late outcome. Open rows get
   * old enough for `reconcile`, and both schedules fire.
   */
  async function passTime(): Promise<void> {
    const { db } = database
    for (const [table, open] of [
      [payments, sql`status in ('pending', 'authorized')`],
      [refunds, sql`status = 'pending'`],
      [payouts, sql`status in ('pending', 'processing')`],
      [orders, sql`status in ('created', 'paid') or is_compensating`],
      [paymentLinks, sql`status = 'active'`],
      [inboundEvents, sql`status = 'pending'`],
      [deliveries, sql`status = 'pending'`],
      [commands, sql`status = 'open'`],
    ] as const) {
      await db().execute(sql`
        update ${table} set created_at = created_at - interval '10 minutes',
          next_sweep_at = case when next_sweep_at is not null then 'epoch'::timestamptz end
        where (${open}) or next_sweep_at is not null`)
    }
    for (const id of ['reconcile', 'sweep']) await client.schedule.getHandle(id).trigger('SKIP')
  }

  /** Returns the last lines that the programs wrote. */
  function lastLines(): string {
    return log
      .slice(-LOG_LINES)
      .map((line) => line.slice(0, LINE_LENGTH))
      .join('\n')
  }

  /** Lets time pass until `leftToDo` names nothing more. */
  async function untilDone(leftToDo: () => Promise<string>): Promise<void> {
    let passing = true
    const passed = (async () => {
      while (passing) {
        await passTime().catch((error) => log.push(`Time could not pass: ${error}`))
        await pause(PASS_TIME_EVERY_MS)
      }
    })()
    try {
      await waitUntilReady({ name: 'An end', limitMs: SETTLE_LIMIT_MS }, async () => {
        const left = await leftToDo()
        if (!left) return
        await pause(LOOK_EVERY_MS)
        throw new Error(left)
      })
    } catch (error) {
      throw new Error(`${error}\n${lastLines()}`)
    } finally {
      passing = false
      await passed
    }
  }

  return {
    db: () => database.db(),
    url: () => `http://127.0.0.1:${ports.api}`,
    client: () => client,
    start,
    kill,
    runs: (name: Name) => running.has(name),
    /** Names the programs that ended without our kill, so that no such end stays unnoticed. */
    endedByThemselves,
    untilDone,
    lastLines,
    stopTemporal: () => server.stop(),
    startTemporal,
    /** Acts as if Temporal's disk were lost: the next start begins with an empty state. */
    loseTemporalState() {
      lives++
    },
  }
}

export type Remit = ReturnType<typeof testRemit>

function baseEnv(url: string, ports: { api: number; temporal: number }): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...rest } = process.env
  return {
    ...rest,
    NODE_ENV: 'test',
    DATABASE_URL: url,
    TEMPORAL_ADDRESS: `127.0.0.1:${ports.temporal}`,
    PORT: `${ports.api}`,
    REMIT_ENCRYPTION_KEY: testKey.toString('base64'),
    SANDBOX_DELAY_MS: '0-300',
    WORKFLOW_BUNDLE: process.env.REMIT_WORKFLOW_BUNDLE,
    RATE_LIMIT_PER_SECOND: '1000',
    WEBHOOK_ALLOW_HTTP: 'true',
    WEBHOOK_ALLOW_PRIVATE_NETWORKS: 'true',
    UV_THREADPOOL_SIZE: '64',
  }
}
