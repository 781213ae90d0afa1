import type { WorkflowHandleWithStartDetails } from '@temporalio/client'
import { eq } from 'drizzle-orm'
import { paymentActivities } from '../../activities/payments.ts'
import type { CaptureMethod, PaymentStatus } from '../../core/lifecycles/payment.ts'
import { balanceTransactions } from '../../db/ledger/schema.ts'
import { insertPayment, type NewPayment } from '../../db/payments/payments.ts'
import { payments } from '../../db/payments/schema.ts'
import { events } from '../../db/webhooks/schema.ts'
import { createProviders } from '../../providers/index.ts'
import type { Provider } from '../../providers/provider.ts'
import { sandboxCharges } from '../../providers/sandbox/schema.ts'
import { paymentStart } from '../../temporal/starts.ts'
import { type processPayment, state } from '../../workflows/index.ts'
import { addMerchant, balanceOf, testDb } from '../support/db.ts'
import { fileWorkers } from '../support/file-workers.ts'
import { type TestTemporal, timeSkippingEnv } from '../support/temporal.ts'

export type PaymentHandle = WorkflowHandleWithStartDetails<typeof processPayment>

type Options = {
  source?: string // a vpa, or the token of a card
  captureMethod?: CaptureMethod
  delayMs?: number | { minMs: number; maxMs: number }
  wrap?: (provider: Provider) => Partial<Provider>
  activities?: (real: Activities) => Partial<Activities>
  feeBps?: number
  before?: (paymentId: string) => Promise<unknown>
  use?: (handle: PaymentHandle) => Promise<unknown>
}
type Activities = ReturnType<typeof paymentActivities>

const names = [
  'chargePayment',
  'pollCharge',
  'captureCharge',
  'cancelCharge',
  'settlePayment',
  'parkPayment',
] as const

/** Sets up a file's database and, by default, a clock that skips what a payment waits for. */
export function testPaying(server: () => TestTemporal = timeSkippingEnv) {
  const workers = fileWorkers()
  const db = testDb()
  const temporal = server()
  const now = async () => new Date(await temporal.now())
  let current = activitiesOf({})
  workers.serve(temporal, names, () => current)

  function provider({ delayMs = 0, wrap = () => ({}) }: Options = {}): Provider {
    const sandboxDelay = typeof delayMs === 'number' ? { minMs: delayMs, maxMs: delayMs } : delayMs
    const { sandbox } = createProviders({ db, sandboxDelay, now })
    return { ...(sandbox as Provider), ...wrap(sandbox as Provider) }
  }

  /** Returns the activities alone, for a test that calls them as Temporal would. */
  function activitiesOf(options: Options): Activities {
    const { feeBps = 0, activities = () => ({}) } = options
    const real = paymentActivities({ db, providers: { sandbox: provider(options) }, feeBps, now })
    return { ...real, ...activities(real) }
  }

  /** Adds a payment of 500.00 for a new merchant. */
  async function addPayment(source: string, captureMethod: CaptureMethod = 'automatic') {
    const { id: merchantId } = await addMerchant(db)
    const paidBy = source.includes('@')
      ? { method: 'upi' as const, vpa: source, cardToken: null, cardBrand: null, cardLast4: null }
      : { method: 'card' as const, vpa: null, cardToken: source, cardBrand: 'visa', cardLast4: '0' }
    const values: NewPayment = {
      ...paidBy,
      merchantId,
      orderId: null,
      amount: 50_000,
      currency: 'INR',
      captureMethod,
      description: null,
      metadata: {},
      provider: 'sandbox',
    }
    return db.transaction(async (tx) => (await insertPayment(tx, values, await now())).payment)
  }

  /** Runs one payment, and returns the result of `use` and what the database then holds. */
  async function pay(options: Options = {}) {
    const { source = 'test@upi', before, use = (handle) => handle.result() } = options
    const payment = await addPayment(source, options.captureMethod)
    await before?.(payment.id)
    current = activitiesOf(options)
    const { workflowType, ...rest } = paymentStart(payment, [])
    const { workflow } = temporal.client()
    const outcome = await use(await workflow.start<typeof processPayment>(workflowType, rest))
    return { outcome: outcome as PaymentStatus, ...(await recorded(payment.id)) }
  }

  async function recorded(id: string) {
    const [row] = await db.select().from(payments).where(eq(payments.id, id))
    if (!row) throw new Error(`No such payment: ${id}`)
    const told = await db.select().from(events).where(eq(events.resourceId, id))
    return {
      row,
      charges: await db.select().from(sandboxCharges).where(eq(sandboxCharges.paymentId, id)),
      events: told.map(({ type }) => type).sort(),
      booked: await db.$count(balanceTransactions, eq(balanceTransactions.sourceId, id)),
      balance: await balanceOf(db, row.merchantId, 'available', 'INR'),
    }
  }

  /** Waits in real time, so that the clock skips nothing. */
  async function untilStage(handle: PaymentHandle, stage: string) {
    while ((await handle.query(state)).stage !== stage) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  return { db, temporal, pay, addPayment, activitiesOf, recorded, untilStage }
}

export async function historyLength(handle: PaymentHandle): Promise<number> {
  return (await handle.describe()).historyLength
}
