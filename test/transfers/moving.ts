import type { Client } from '@temporalio/client'
import { and, eq, inArray } from 'drizzle-orm'
import { payments } from '../../db/payments/schema.ts'
import { payouts } from '../../db/payouts/schema.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { commands } from '../../db/requests/schema.ts'
import { createProviders } from '../../providers/index.ts'
import type { Provider } from '../../providers/provider.ts'
import { createTemporalClient } from '../../temporal/client.ts'
import { callAs, testApp } from '../support/app.ts'
import { addMerchant, type Merchant, testDb } from '../support/db.ts'
import { tableTexts, upi } from '../support/http.ts'
import { testActivities, until } from '../support/stack.ts'
import { devServerEnv } from '../support/temporal.ts'
import { transferRecorded } from './transferring.ts'

type Options = { wrap?: (real: Provider) => Partial<Provider>; delayMs?: number }

/** Sets up a merchant for each test, who moves money through the API on the real server. */
export function testMoving() {
  const db = testDb()
  const temporal = devServerEnv()
  let client: Client // the API uses the same kind: it gives up after a few tries
  let merchant: Merchant
  let call: ReturnType<typeof callAs>
  beforeAll(() => {
    client = createTemporalClient({ address: temporal.address(), namespace: 'default' })
  })
  afterAll(() => client.connection.close())
  beforeEach(async () => {
    merchant = await addMerchant(db)
    call = callAs(testApp(db, { temporal: client }).app, merchant)
  })

  function run<T>(use: () => Promise<T>, { wrap = () => ({}), delayMs = 0 }: Options = {}) {
    const sandboxDelay = { minMs: delayMs, maxMs: delayMs }
    const now = () => new Date()
    const real = createProviders({ db, sandboxDelay, now }).sandbox as Provider
    const providers = { sandbox: { ...real, ...wrap(real) } }
    return temporal.withActivities(testActivities(db, { providers }), use)
  }

  const post = (path: string, body: object = {}, key?: string) =>
    call('POST', `/api/v1/${path}`, body, key ? { 'idempotency-key': key } : {})
  const get = (path: string) => call('GET', `/api/v1/${path}`)

  /** Makes a payment of 500.00 that succeeded. */
  async function paid(input: object = upi): Promise<string> {
    const { body } = await post('payments', input)
    expect(await handleOf(body.id).result()).toBe('succeeded')
    return body.id
  }

  /** Makes a payment, and a refund of 200.00 of the payment. */
  async function refund(input: object = upi): Promise<string> {
    return (await post(`payments/${await paid(input)}/refunds`, { amount: 20_000 })).body.id
  }

  /** Makes a payout of 200.00 from a balance of 500.00. */
  async function payout(vpa = 'test@upi'): Promise<string> {
    await post('test/balance_topups', { amount: 50_000, currency: 'INR' })
    const destination = { type: 'vpa', vpa }
    return (await post('payouts', { amount: 20_000, currency: 'INR', destination })).body.id
  }

  const handleOf = (id: string) => temporal.client().workflow.getHandle(id)

  async function rowOf(id: string) {
    const table = id.startsWith('re_') ? refunds : id.startsWith('po_') ? payouts : payments
    const anyTable: typeof payouts = table as never
    const [row] = await db.select().from(anyTable).where(eq(anyTable.id, id))
    if (!row) throw new Error(`Not there: ${id}`)
    return row
  }

  const recorded = async (id: string) => {
    const row = await rowOf(id)
    return { row, ...(await transferRecorded(db, row)) }
  }

  const untilStatus = (id: string, status: string) =>
    until(async () => (await rowOf(id)).status === status, `${id} to be ${status}`)

  const untilStage = (id: string, stage: string) =>
    until(async () => {
      const now = await handleOf(id)
        .query<{ stage: string }>('state')
        .catch(() => null) // the workflow is not there yet
      return now?.stage === stage
    }, `${id} to be in ${stage}`)

  function scheduled(workflowType: 'sweep' | 'reconcile') {
    const start = { workflowId: `${workflowType}-${crypto.randomUUID()}`, taskQueue: 'payments' }
    return temporal.client().workflow.execute(workflowType, { ...start, args: [] })
  }

  /** Makes the open commands on `ids` due, and runs what the schedule runs every minute. */
  async function sweep(...ids: string[]): Promise<void> {
    const open = and(inArray(commands.resourceId, ids), eq(commands.status, 'open'))
    if (ids.length > 0) await db.update(commands).set({ nextSweepAt: new Date() }).where(open)
    await scheduled('sweep')
  }

  /** Runs what the schedules run in five minutes, and waits for the workflows of `ids` to end. */
  async function reconcile(...ids: string[]): Promise<void> {
    await scheduled('reconcile')
    await scheduled('sweep')
    for (const id of ids) await handleOf(id).result()
  }

  /** Returns all tables except how far the news is read and what is recorded of API keys. */
  async function everything(): Promise<Record<string, string>> {
    const { api_keys: _, provider_news: __, ...texts } = await tableTexts(db)
    return texts
  }

  const merchantId = () => merchant.id
  const setUp = { db, temporal, run, post, get, merchantId }
  const look = { handleOf, rowOf, recorded, untilStatus, untilStage, everything }
  return { ...setUp, paid, refund, payout, sweep, reconcile, ...look }
}
