import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@temporalio/client'
import { NativeConnection, type Worker } from '@temporalio/worker'
import { eq, sql } from 'drizzle-orm'
import { createStarter } from '../../api/http/try-start.ts'
import { inboundEvents } from '../../db/invoices/schema.ts'
import { payments } from '../../db/payments/schema.ts'
import { deliveries } from '../../db/webhooks/schema.ts'
import { sandboxCharges } from '../../providers/sandbox/schema.ts'
import { tryPort } from '../../scripts/tools/processes.ts'
import { startDevServer } from '../../scripts/tools/temporal.ts'
import { createTemporalClient } from '../../temporal/client.ts'
import { taskQueues } from '../../temporal/queues.ts'
import { setUpNamespace } from '../../worker/setup.ts'
import { createWorker } from '../../worker/worker.ts'
import { testBilling } from '../invoices/billing.ts'
import { type Answer, callAs, testApp } from '../support/app.ts'
import { addMerchant, type Merchant, testDb } from '../support/db.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { silent } from '../support/log.ts'
import { pause, testActivities, until } from '../support/stack.ts'
import { addEndpoint } from '../webhooks/delivery.ts'
import '../support/temporal.ts'

const OUTAGE_MS = 20_000
const POSTS = 50
const EVENTS = 500

const db = testDb()
const endpoint = testEndpoint()
let folder: string
let port: number
let temporal: Client
let merchant: Merchant
let server: Awaited<ReturnType<typeof startDevServer>>
let stopWorkers: () => Promise<void>

/** Starts a server for this file. Its state is in a file, which outlives the server. */
function startServer() {
  const { TEMPORAL_CLI: cli } = process.env
  assert(cli, 'set by test/support/global-setup.ts')
  const files = { logFile: join(folder, 'log'), dbFilename: join(folder, 'temporal.db') }
  return startDevServer({ cli, port, ...files })
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'remit-outage-'))
  port = await tryPort(0)
  server = await startServer()
  const { address } = server
  temporal = createTemporalClient({ address, namespace: 'default' })
  const connection = await NativeConnection.connect({ address })
  const client = new Client({ connection })
  await setUpNamespace(client, 'default', silent)
  stopWorkers = await runWorkers(connection)
  merchant = await addMerchant(db)
  await addEndpoint(db, { merchantId: merchant.id, url: endpoint.url })
})

afterAll(async () => {
  await stopWorkers()
  await temporal.connection.close()
  await server.stop()
  await rm(folder, { recursive: true })
})

async function runWorkers(connection: NativeConnection) {
  const codePath = process.env.REMIT_WORKFLOW_BUNDLE
  assert(codePath, 'set by test/support/global-setup.ts')
  const workflowBundle = { codePath }
  const activities = testActivities(db)
  const workers: Worker[] = await Promise.all(
    taskQueues.map((taskQueue) =>
      createWorker({ connection, namespace: 'default', taskQueue, activities, workflowBundle }),
    ),
  )
  const running = Promise.all(workers.map((worker) => worker.run()))
  return async () => {
    for (const worker of workers) worker.shutdown()
    await running
    await connection.close()
  }
}

const upi = { amount: 100, currency: 'INR', method: 'upi', vpa: 'test@upi' }

/** Makes rows that become due in the next minutes due now, and triggers the sweep's schedule. */
async function sweepNow(): Promise<void> {
  const due = sql`now() - interval '1 second'`
  for (const table of [payments, inboundEvents, deliveries])
    await db.update(table).set({ nextSweepAt: due }).where(sql`next_sweep_at is not null`)
  await temporal.schedule.getHandle('sweep').trigger('BUFFER_ONE')
}

/** If a busy server answers a start late, the sweep leaves that page of rows to a later sweep. */
const SETTLED_LIMIT_MS = 240_000

async function settled(): Promise<boolean> {
  const rows = await db.select({ status: payments.status }).from(payments)
  const sent = await db.select({ status: deliveries.status }).from(deliveries)
  const isDone = ({ status }: { status: string }) =>
    status === 'succeeded' || status === 'delivered'
  return rows.every(isDone) && sent.every(isDone) && sent.length === rows.length * 2
}

async function expectChargedOnce(ids: string[]): Promise<void> {
  for (const id of ids) {
    const charges = await db.select().from(sandboxCharges).where(eq(sandboxCharges.paymentId, id))
    expect(charges.map(({ status }) => status)).toEqual(['succeeded'])
  }
  const sent = endpoint.requests.map(({ headers }) => headers['webhook-id'])
  expect(new Set(sent).size).toBe(sent.length)
}

test.each(['sweep', 'reconcile'])(
  'a %s that hangs is ended by its timeout, because the schedule skips all runs until then',
  async (id) => {
    const { action, policies } = await temporal.schedule.getHandle(id).describe()
    expect(policies.overlap).toBe('SKIP')
    expect(action).toMatchObject({ workflowType: id, workflowRunTimeout: expect.any(Number) })
  },
)

test('a payment whose API died between commit and start is started by the sweep', async () => {
  const tryStart = async () => Promise.reject(new Error('killed'))
  const { app } = testApp(db, { tryStart })
  expect((await callAs(app, merchant)('POST', '/api/v1/payments', upi)).status).toBe(500)
  await sweepNow()
  await until(settled, 'the payment to settle')
  const [row] = await db.select().from(payments)
  await expectChargedOnce([row?.id ?? ''])
})

test(
  'payments posted while Temporal is down are accepted, and all are charged once afterwards',
  async () => {
    endpoint.requests.length = 0
    const { app } = testApp(db, { temporal, tryStart: createStarter(temporal, silent) })
    const post = callAs(app, merchant)
    await server.stop()
    const downAt = Date.now()

    const timed = async (): Promise<{ answer: Answer; tookMs: number }> => {
      const startedAt = Date.now()
      const answer = await post('POST', '/api/v1/payments', upi)
      return { answer, tookMs: Date.now() - startedAt }
    }
    const posted: Awaited<ReturnType<typeof timed>>[] = []
    while (posted.length < POSTS) posted.push(...(await Promise.all([timed(), timed()])))
    expect(posted.map(({ answer }) => answer.status)).toEqual(Array(POSTS).fill(201))
    expect(Math.max(...posted.map(({ tookMs }) => tookMs))).toBeLessThan(1_500)
    expect((await post('GET', '/ready')).body).toMatchObject({ status: 'ok', temporal: 'degraded' })

    await pause(OUTAGE_MS - (Date.now() - downAt))
    server = await startServer()
    await until(async () => (await post('GET', '/ready')).body.temporal === 'ok', 'Temporal')
    await sweepNow()
    await until(settled, 'all payments to settle', SETTLED_LIMIT_MS)
    await expectChargedOnce(posted.map(({ answer }) => answer.body.id))
  },
  120_000 + SETTLED_LIMIT_MS,
)

test('inbound events posted while Temporal is down are accepted, and all are applied once afterwards', async () => {
  const bank = await testBilling(db, { temporal, tryStart: createStarter(temporal, silent) })
  const { id, number } = await bank.bill(EVENTS * 10 - 5)
  await server.stop()
  const tell = (n: number) =>
    bank.tell(n % 10 === 0 ? 'sync' : 'async', `bank-${n}`, n % 3 === 0 ? id : number, 10)
  for (let n = 0; n < EVENTS; n += 10) {
    const batch = Array.from({ length: 10 }, (_, i) => tell(n + i))
    const statuses = (await Promise.all(batch)).map(({ status }) => status)
    expect(statuses).toEqual([200, ...Array(9).fill(202)])
  }
  expect((await bank.tell('async', 'bank-1', id, 10)).body.duplicate).toBe(true)
  expect(await bank.invoice(id)).toMatchObject({ amount_paid: EVENTS })

  server = await startServer()
  await until(async () => (await bank.call('GET', '/ready')).body.temporal === 'ok', 'Temporal')
  await sweepNow()
  const isApplied = ({ status }: { status: string }) => status === 'applied'
  const applied = async () => (await bank.inboxOf()).filter(isApplied).length
  // Each part has its own time limit, because a busy machine takes long.
  for (let part = EVENTS / 5; part <= EVENTS; part += EVENTS / 10)
    await until(async () => (await applied()) >= part, `${part} events to be applied`)
  const paid = { status: 'paid', amount_paid: EVENTS * 10, amount_overpaid: 5 }
  expect(await bank.invoice(id)).toEqual(paid)
  const told = await bank.told(id)
  expect([told.length, told.filter((type) => type === 'invoice.paid').length]).toEqual([EVENTS, 1])
}, 240_000)
