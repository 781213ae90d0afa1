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

/** A file's merchant, who moves money through the API on the real server. */
export function testMoving() {
  const db = testDb()
  const temporal = devServerEnv()
  let client: Client // as the API has it: a call that it has given up is not tried for long
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

  /** Of 500.00, that has its money. */
  async function paid(input: object = upi): Promise<string> {
    const { body } = await post('payments', input)
    expect(await handleOf(body.id).result()).toBe('succeeded')
    return body.id
  }

  /** Of 200.00, of a payment that is made for it. */
  async function refund(input: object = upi): Promise<string> {
    return (await post(`payments/${await paid(input)}/refunds`, { amount: 20_000 })).body.id
  }

  /** Of 200.00, of a balance of 500.00. */
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
        .catch(() => null) // it is not there yet
      return now?.stage === stage
    }, `${id} to be in ${stage}`)

  function scheduled(workflowType: 'sweep' | 'reconcile') {
    const start = { workflowId: `${workflowType}-${crypto.randomUUID()}`, taskQueue: 'payments' }
    return temporal.client().workflow.execute(workflowType, { ...start, args: [] })
  }

  /** What the schedule does every minute, once the commands on these are due. */
  async function sweep(...ids: string[]): Promise<void> {
    const open = and(inArray(commands.resourceId, ids), eq(commands.status, 'open'))
    if (ids.length > 0) await db.update(commands).set({ nextSweepAt: new Date() }).where(open)
    await scheduled('sweep')
  }

  /** What the schedules do in five minutes, all that they start included. */
  async function reconcile(...ids: string[]): Promise<void> {
    await scheduled('reconcile')
    await scheduled('sweep')
    for (const id of ids) await handleOf(id).result()
  }

  /** Everything but how far the news have been read, and what is noted of an API key. */
  async function everything(): Promise<Record<string, string>> {
    const { api_keys: _, provider_news: __, ...texts } = await tableTexts(db)
    return texts
  }

  const merchantId = () => merchant.id
  const setUp = { db, temporal, run, post, get, merchantId }
  const look = { handleOf, rowOf, recorded, untilStatus, untilStage, everything }
  return { ...setUp, paid, refund, payout, sweep, reconcile, ...look }
}
