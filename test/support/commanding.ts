import type { Client } from '@temporalio/client'
import { eq, inArray } from 'drizzle-orm'
import type { PaymentStatus } from '../../core/lifecycles/payment.ts'
import { payments } from '../../db/payments/schema.ts'
import { commands } from '../../db/requests/schema.ts'
import { events } from '../../db/webhooks/schema.ts'
import type { Provider } from '../../providers/provider.ts'
import { sandboxCharges } from '../../providers/sandbox/schema.ts'
import { createTemporalClient } from '../../temporal/client.ts'
import type { processPayment, sweep as runSweep } from '../../workflows/index.ts'
import { state } from '../../workflows/index.ts'
import { callAs, testApp, testProviders } from './app.ts'
import { addMerchant, balanceOf, type Merchant, testDb } from './db.ts'
import { upi } from './http.ts'
import { testActivities, until } from './stack.ts'
import { devServerEnv } from './temporal.ts'

/** Replaces some functions of the sandbox. */
type Wrap = (real: Provider) => Partial<Provider>

/** Sets up a file's merchant, who commands payments through the API on the real server. */
export function testCommanding() {
  const db = testDb()
  const temporal = devServerEnv()
  let client: Client // made like the API's client, which does not retry a failed call for long
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

  function run<T>(use: () => Promise<T>, wrap: Wrap = () => ({})): Promise<T> {
    const real = testProviders(db).sandbox as Provider
    const providers = { sandbox: { ...real, ...wrap(real) } }
    return temporal.withActivities(testActivities(db, { providers }), use)
  }

  const post = (path: string, body?: object, key?: string) =>
    call('POST', `/api/v1/payments/${path}`, body, key ? { 'idempotency-key': key } : {})
  const get = (id: string) => call('GET', `/api/v1/payments/${id}`)

  async function rowOf(id: string) {
    const [row] = await db.select().from(payments).where(eq(payments.id, id))
    if (!row) throw new Error(`No such payment: ${id}`)
    return row
  }

  const untilStatus = (id: string, status: PaymentStatus) =>
    until(async () => (await rowOf(id)).status === status, `${id} to be ${status}`)

  /** Adds a payment for manual capture, and returns its id. */
  async function add(input: object = {}): Promise<string> {
    const manual = { ...upi, capture_method: 'manual', ...input }
    return (await call('POST', '/api/v1/payments', manual)).body.id
  }

  async function authorized(): Promise<string> {
    const id = await add()
    await untilStage(id, 'authorized')
    return id
  }

  const handleOf = (id: string) => temporal.client().workflow.getHandle<typeof processPayment>(id)

  const untilStage = (id: string, stage: string) =>
    until(async () => {
      const now = await handleOf(id)
        .query(state)
        .catch(() => null) // the workflow is not there yet
      return now?.stage === stage
    }, `${id} to be in ${stage}`)

  async function recorded(id: string) {
    const told = await db.select().from(events).where(eq(events.resourceId, id))
    const asked = await db.select().from(commands).where(eq(commands.resourceId, id))
    return {
      charges: await db.select().from(sandboxCharges).where(eq(sandboxCharges.paymentId, id)),
      events: told.map(({ type }) => type.replace('payment.', '')).sort(),
      commands: asked.map(({ kind, status }) => `${kind} ${status}`),
      balance: await balanceOf(db, merchant.id, 'available', 'INR'),
    }
  }

  /**
   * Makes the commands on these resources due and runs the sweep, as the schedule does every
   * minute.
   */
  async function sweep(...ids: string[]): Promise<{ found: number }> {
    const theirs = inArray(commands.resourceId, ids)
    await db.update(commands).set({ nextSweepAt: new Date() }).where(theirs)
    const start = { workflowId: `sweep-${crypto.randomUUID()}`, taskQueue: 'payments' }
    return temporal.client().workflow.execute<typeof runSweep>('sweep', { ...start, args: [] })
  }

  const payment = { add, authorized, rowOf, recorded, untilStatus, untilStage, handleOf }
  return { db, temporal, run, post, get, sweep, ...payment }
}
