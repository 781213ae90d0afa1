import type { WorkflowHandleWithStartDetails } from '@temporalio/client'
import { ApplicationFailure, type Workflow } from '@temporalio/common'
import { and, eq, sql } from 'drizzle-orm'
import { paymentActivities } from '../../activities/payments.ts'
import { payoutActivities } from '../../activities/payouts.ts'
import { refundActivities } from '../../activities/refunds.ts'
import type { Destination } from '../../core/lifecycles/payout.ts'
import type { MerchantAccount } from '../../core/money/ledger.ts'
import type { Db } from '../../db/client.ts'
import { insertTopup } from '../../db/ledger/balance.ts'
import { balanceTransactions, ledgerPostings } from '../../db/ledger/schema.ts'
import { insertPayment } from '../../db/payments/payments.ts'
import { payments } from '../../db/payments/schema.ts'
import { insertPayout } from '../../db/payouts/payouts.ts'
import { payouts } from '../../db/payouts/schema.ts'
import { insertRefund } from '../../db/refunds/refunds.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { commands } from '../../db/requests/schema.ts'
import { events } from '../../db/webhooks/schema.ts'
import { createProviders } from '../../providers/index.ts'
import type { Provider } from '../../providers/provider.ts'
import { sandboxTransfers } from '../../providers/sandbox/schema.ts'
import { payoutStart, refundStart, type Start } from '../../temporal/starts.ts'
import type { processPayout, processRefund } from '../../workflows/index.ts'
import { testCipher } from '../support/cipher.ts'
import { addMerchant, balanceOf, testDb } from '../support/db.ts'
import { fileWorkers } from '../support/file-workers.ts'
import { type TestTemporal, timeSkippingEnv } from '../support/temporal.ts'

export type RefundHandle = WorkflowHandleWithStartDetails<typeof processRefund>
export type PayoutHandle = WorkflowHandleWithStartDetails<typeof processPayout>

type TransferOptions<Handle = unknown> = {
  /** The refund goes back to this source, or the payout to this target. An account has no `@`. */
  target?: string
  delayMs?: number
  wrap?: (provider: Provider) => Partial<Provider>
  activities?: (real: TransferActivities) => Partial<TransferActivities>
  activitiesDb?: Db // the worker's view of the database
  before?: (id: string) => Promise<unknown>
  use?: (handle: Handle) => Promise<unknown>
}
export type TransferActivities = ReturnType<typeof refundActivities> &
  ReturnType<typeof payoutActivities>

const names = [
  'sendRefund',
  'pollRefund',
  'settleRefund',
  'parkRefund',
  'sendPayout',
  'pollPayout',
  'cancelPayout',
  'simulatePayout',
  'settlePayout',
  'parkPayout',
] as const

/** Fails as if the provider is away. The long delay saves 10,000 tries, which take minutes. */
export async function unreachable(): Promise<never> {
  throw ApplicationFailure.create({ message: 'ECONNREFUSED', nextRetryDelay: '3 hours' })
}

/**
 * Sets up a file's database and, by default, a clock that skips what a refund or a payout waits
 * for. Each refund or payout moves 200.00 of a new merchant, who had 500.00.
 */
export function testTransfers(server: () => TestTemporal = timeSkippingEnv) {
  const workers = fileWorkers()
  const db = testDb()
  const temporal = server()
  const now = async () => new Date(await temporal.now())
  let current = activitiesOf({})
  workers.serve(temporal, names, () => current)

  function provider({ delayMs = 0, wrap = () => ({}) }: TransferOptions = {}): Provider {
    const sandboxDelay = { minMs: delayMs, maxMs: delayMs }
    const { sandbox } = createProviders({ db, sandboxDelay, now })
    return { ...(sandbox as Provider), ...wrap(sandbox as Provider) }
  }

  /** Returns the activities alone, for a test that calls them as Temporal would. */
  function activitiesOf<H>(options: TransferOptions<H>): TransferActivities {
    const { activities = () => ({}), activitiesDb = db } = options
    const { use: _, ...rest } = options
    const deps = {
      db: activitiesDb,
      providers: { sandbox: provider(rest) },
      cipher: testCipher,
      now,
    }
    const real = { ...refundActivities(deps), ...payoutActivities(deps) }
    return { ...real, ...activities(real) }
  }

  /** Adds a refund of a payment that was made from `target`. */
  async function addRefund(target = 'test@upi') {
    const { id: merchantId } = await addMerchant(db)
    const payment = await addPayment(db, merchantId, target, await now())
    const { chargePayment } = paymentActivities({
      db,
      providers: { sandbox: provider() },
      feeBps: 0,
      now,
    })
    while ((await chargePayment(payment.id).catch(() => null))?.status !== 'succeeded');
    const of = { merchantId, paymentId: payment.id }
    const values = { ...of, amount: 20_000, reason: null, metadata: {} }
    const at = await now()
    return db.transaction(async (tx) => (await insertRefund(tx, values, at)).refund)
  }

  async function addPayout(target = 'test@upi') {
    const { id: merchantId } = await addMerchant(db)
    const destination: Destination = target.includes('@')
      ? { type: 'vpa', vpa: target }
      : { type: 'bank_account', account_number: target, bank_code: 'TEST', holder_name: 'Asha' }
    const money = { merchantId, currency: 'INR' }
    const rest = { destination, description: null, metadata: {}, provider: 'sandbox' }
    const at = await now()
    return db.transaction(async (tx) => {
      await insertTopup(tx, { ...money, amount: 50_000 }, at)
      return (await insertPayout(tx, testCipher, { ...money, amount: 20_000, ...rest }, at)).payout
    })
  }

  /** Runs one workflow, and returns the result of `use`, or else of the workflow. */
  async function run<H>(start: Start, options: TransferOptions<H>): Promise<unknown> {
    const { before, use } = options
    await before?.(start.workflowId)
    current = activitiesOf(options)
    const { workflowType, ...rest } = start
    const handle = await temporal.client().workflow.start<Workflow>(workflowType, rest)
    return use ? use(handle as H) : handle.result()
  }

  async function refund(options: TransferOptions<RefundHandle> = {}) {
    const made = await addRefund(options.target)
    const outcome = await run(refundStart(made, []) as Start, options)
    return { outcome, ...(await refundOf(made.id)) }
  }

  async function payout(options: TransferOptions<PayoutHandle> = {}) {
    const made = await addPayout(options.target)
    const outcome = await run(payoutStart(made, []) as Start, options)
    return { outcome, ...(await payoutOf(made.id)) }
  }

  async function refundOf(id: string) {
    const [row] = await db.select().from(refunds).where(eq(refunds.id, id))
    if (!row) throw new Error(`No such refund: ${id}`)
    const [payment] = await db.select().from(payments).where(eq(payments.id, row.paymentId))
    return { row, payment, ...(await transferRecorded(db, row)) }
  }

  async function payoutOf(id: string) {
    const [row] = await db.select().from(payouts).where(eq(payouts.id, id))
    if (!row) throw new Error(`No such payout: ${id}`)
    return { row, ...(await transferRecorded(db, row)) }
  }

  const add = { addRefund, addPayout }
  return { db, temporal, ...add, refund, payout, activitiesOf, refundOf, payoutOf }
}

export function addPayment(db: Db, merchantId: string, source: string, now: Date) {
  const isVpa = source.includes('@')
  const byCard = { cardToken: source, cardBrand: 'visa', cardLast4: '0000' }
  const values = {
    merchantId,
    orderId: null,
    amount: 50_000,
    currency: 'INR',
    captureMethod: 'automatic' as const,
    method: isVpa ? ('upi' as const) : ('card' as const),
    vpa: isVpa ? source : null,
    ...(isVpa ? { cardToken: null, cardBrand: null, cardLast4: null } : byCard),
    description: null,
    metadata: {},
    provider: 'sandbox',
  }
  return db.transaction(async (tx) => (await insertPayment(tx, values, now)).payment)
}

/** Returns what Remit and the sandbox have recorded of a refund or a payout. */
export async function transferRecorded(db: Db, row: { id: string; merchantId: string }) {
  const { id, merchantId } = row
  const told = await db.select().from(events).where(eq(events.resourceId, id)).orderBy(events.id)
  const booked = await db
    .select()
    .from(balanceTransactions)
    .where(eq(balanceTransactions.sourceId, id))
    .orderBy(balanceTransactions.id)
  const asked = await db.select().from(commands).where(eq(commands.resourceId, id))
  const transfers = await db
    .select()
    .from(sandboxTransfers)
    .where(eq(sandboxTransfers.objectId, id))
    .orderBy(sandboxTransfers.id)
  return {
    transfers,
    keys: transfers.map(({ key }) => key.replace(id, '')),
    events: told.map(({ type }) => type),
    booked: booked.map(({ type }) => type),
    commands: asked.map(({ kind, status }) => `${kind} ${status}`).sort(),
    ...(await balancesOf(db, merchantId)),
  }
}

/** `out` is the sum that the platform paid out for the merchant, less the sum it took in. */
export async function balancesOf(db: Db, merchantId: string) {
  const account = (name: MerchantAccount) => balanceOf(db, merchantId, name, 'INR')
  const [clearing] = await db
    .select({ sum: sql<number>`coalesce(sum(${ledgerPostings.amount}), 0)`.mapWith(Number) })
    .from(ledgerPostings)
    .innerJoin(balanceTransactions, eq(balanceTransactions.id, ledgerPostings.transactionId))
    .where(
      and(eq(ledgerPostings.account, 'clearing'), eq(balanceTransactions.merchantId, merchantId)),
    )
  return {
    available: await account('available'),
    held: await account('held'),
    owed: await account('receivable'),
    out: clearing?.sum ?? 0,
  }
}

/** Waits in real time, so that the clock skips nothing. */
export async function untilStage(handle: RefundHandle | PayoutHandle, stage: string) {
  while (((await handle.query('state')) as { stage: string }).stage !== stage)
    await new Promise((resolve) => setTimeout(resolve, 20))
}

/** Compares times of the row, because the clock skips ten years ahead once nothing waits. */
export function tookMs({ createdAt, updatedAt }: { createdAt: Date; updatedAt: Date }): number {
  return updatedAt.getTime() - createdAt.getTime()
}

type Paid = Awaited<ReturnType<ReturnType<typeof testTransfers>['payout']>>

/** Expects a completed payout of 200.00 by a merchant who had 500.00. */
export function expectPaid({ outcome, row, transfers, events, booked, ...rest }: Paid) {
  expect(outcome).toBe('completed')
  expect(row).toMatchObject({ status: 'completed', failureCode: null, nextSweepAt: null })
  const sent = transfers.filter(({ status }) => status !== 'unavailable')
  expect(sent).toMatchObject([{ id: row.providerRef, amount: 20_000 }])
  expect(events).toEqual(['payout.created', 'payout.processing', 'payout.completed'])
  expect(booked).toEqual(['payout', 'payout_settlement'])
  expect(rest).toMatchObject({ available: 30_000, held: 0, owed: 0, out: -30_000 })
}

export function expectKept({ outcome, row, booked, ...rest }: Paid, status: 'failed' | 'canceled') {
  expect([outcome, row.status, row.needsAttention]).toEqual([status, status, false])
  expect(booked).toEqual(['payout', status === 'failed' ? 'payout_failure' : 'payout_cancel'])
  expect(rest).toMatchObject({ available: 50_000, held: 0, owed: 0, out: -50_000 })
}

type Refunded = Awaited<ReturnType<ReturnType<typeof testTransfers>['refund']>>

/** Expects a succeeded refund of 200.00 of a payment of 500.00. */
export function expectRefunded({
  outcome,
  row,
  payment,
  transfers,
  events,
  booked,
  ...rest
}: Refunded) {
  expect(outcome).toBe('succeeded')
  expect(row).toMatchObject({ status: 'succeeded', failureCode: null, nextSweepAt: null })
  expect(payment).toMatchObject({ status: 'succeeded', amountRefunded: 20_000 })
  const sent = transfers.filter(({ status }) => status !== 'unavailable')
  expect(sent).toMatchObject([{ id: row.providerRef, status: 'succeeded', amount: 20_000 }])
  expect(events).toEqual(['refund.created', 'refund.succeeded'])
  expect(booked).toEqual(['refund', 'refund_settlement'])
  expect(rest).toMatchObject({ available: 30_000, held: 0, owed: 0, out: -30_000 })
}

export function expectGivenBack({ row, payment, events, booked, ...rest }: Refunded) {
  expect(row.status).toBe('failed')
  expect(payment).toMatchObject({ status: 'succeeded', amountRefunded: 0 })
  expect(events).toEqual(['refund.created', 'refund.failed'])
  expect(booked).toEqual(['refund', 'refund_failure'])
  expect(rest).toMatchObject({ available: 50_000, held: 0, owed: 0, out: -50_000 })
}
