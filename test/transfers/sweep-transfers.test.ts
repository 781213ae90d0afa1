import { eq } from 'drizzle-orm'
import { claimRow } from '../../db/lifecycle-steps.ts'
import { payouts } from '../../db/payouts/schema.ts'
import { startPayout } from '../../db/payouts/steps.ts'
import { strandForNews } from '../../db/recovery/news.ts'
import { findTakenUp, strand, sweptKinds, takeStranded } from '../../db/recovery/sweep.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { commands } from '../../db/requests/schema.ts'
import { merchantWorkflowTypes } from '../../temporal/starts.ts'
import { testDb } from '../support/db.ts'
import { settlePayoutAs, settleRefundAs, testTill } from './till.ts'

const db = testDb()

let till: Awaited<ReturnType<typeof testTill>>
let paid: string
beforeAll(async () => {
  till = await testTill(db)
  paid = await till.paid()
  await till.topUp(1_000_000)
})
afterEach(async () => {
  await db.update(refunds).set({ nextSweepAt: null, status: 'succeeded', failureCode: null })
  await db.update(payouts).set({ nextSweepAt: null, status: 'completed', failureCode: null })
  await db.update(commands).set({ nextSweepAt: null, status: 'done' })
})

/** Each kind has the table that the sweep reads, and functions that add, fail and end a row. */
const kinds = {
  refunds: {
    table: refunds,
    add: () => till.refund(paid, 1),
    fail: (id: string) => settleRefundAs(db, id, 'failed'),
    end: (id: string) => settleRefundAs(db, id, 'succeeded'),
  },
  payouts: {
    table: payouts,
    add: () => till.payOut(1),
    fail: (id: string) => settlePayoutAs(db, id, 'failed'),
    end: (id: string) => settlePayoutAs(db, id, 'completed'),
  },
}
type Kind = keyof typeof kinds

const later = (seconds: number) => new Date(Date.now() + seconds * 1_000)

async function sweep(kind: Kind, seconds: number) {
  return (await takeStranded(db, later(seconds), 100))[kind].map(({ id }) => id).sort()
}

const page = { after: '', before: later(3_600), limit: 10 }

describe.each(Object.keys(kinds) as Kind[])('The sweep of %s', (kind) => {
  const { table, add, fail, end } = kinds[kind]

  test('the sweep finds a row that no workflow claimed, with all that a start needs', async () => {
    const [stranded, takenUp, ended] = [await add(), await add(), await add()]
    await claimRow(db, table, takenUp)
    await end(ended)
    expect(await sweep(kind, 20)).toEqual([])
    const [row, ...others] = (await takeStranded(db, later(40), 100))[kind]
    expect(others).toEqual([])
    expect(row).toMatchObject({ id: stranded, merchantId: till.merchant.id, amount: 1 })
    expect(await sweep(kind, 40)).toEqual([]) // the wait of the row doubles
    expect(await sweep(kind, 100)).toEqual([stranded])
  })

  test('an open row that lost its workflow is requeued, and an ended row is not', async () => {
    const [lost, ended, waiting] = [await add(), await add(), await add()]
    await claimRow(db, table, lost)
    await end(ended)
    expect(await findTakenUp(db, kind, page)).toEqual([lost])
    expect(await findTakenUp(db, kind, { ...page, before: later(-3_600) })).toEqual([])
    await strand(db, kind, [lost, ended], new Date())
    expect(await findTakenUp(db, kind, page)).toEqual([])
    expect(await sweep(kind, 1)).toEqual([lost])
    expect(await sweep(kind, 100)).toEqual(expect.arrayContaining([waiting]))
  })

  test('a row is requeued once if its provider reports another outcome', async () => {
    const object = kind === 'refunds' ? ('refund' as const) : ('payout' as const)
    const good = kind === 'refunds' ? 'succeeded' : 'completed'
    const [open, ended, failed] = [await add(), await add(), await add()]
    await end(ended)
    await fail(failed)
    const tell = (id: string, status: string) => {
      const failureCode = status === 'failed' ? 'returned' : null
      const news = { object, id, verdict: { status, failureCode } }
      return strandForNews(db, [news] as Parameters<typeof strandForNews>[1], new Date())
    }
    expect(await tell(open, 'failed')).toBe(0) // the row's workflow asks by itself
    expect(await tell(ended, good)).toBe(0)
    expect(await tell(failed, 'failed')).toBe(0)
    expect(await sweep(kind, 1)).toEqual([])
    expect(await tell(ended, 'failed')).toBe(1)
    expect(await tell(failed, good)).toBe(1)
    expect(await tell(ended, 'failed')).toBe(0)
    expect(await sweep(kind, 1)).toEqual([ended, failed].sort())
  })
})

test('a payout that is on its way and has lost its workflow is found', async () => {
  const id = await till.payOut(1)
  await claimRow(db, payouts, id)
  await startPayout(db, id, 'ref', new Date())
  expect(await findTakenUp(db, 'payouts', page)).toEqual([id])
})

test('an unanswered command is swept together with its payout', async () => {
  const id = await till.payOut(1)
  await claimRow(db, payouts, id)
  await till.post(`payouts/${id}/cancel`, {})
  const found = await takeStranded(db, later(40), 100)
  expect(found.commands).toMatchObject([{ kind: 'cancel', resourceId: id }])
  expect(found.payouts.map((row) => row.id)).toEqual([id])
  expect(found.payments).toEqual([])
  await settlePayoutAs(db, id, 'canceled')
  const [command] = await db.select().from(commands).where(eq(commands.resourceId, id))
  expect(command).toMatchObject({ status: 'done', nextSweepAt: null })
  expect((await takeStranded(db, later(1_000), 100)).commands).toEqual([])
})

/** An event alone needs no sweep: its deliveries are swept. */
const rowsOf = {
  processPayment: 'payments',
  processRefund: 'refunds',
  processPayout: 'payouts',
  orderSaga: 'orders',
  paymentLinkLifecycle: 'paymentLinks',
  applyInboundEvent: 'inboundEvents',
  deliverWebhook: 'deliveries',
}

test('every kind of row that has a workflow is swept', () => {
  const types = merchantWorkflowTypes.filter((type) => type !== 'publishEvent')
  expect(Object.keys(rowsOf).sort()).toEqual([...types].sort())
  expect(Object.values(rowsOf).sort()).toEqual([...sweptKinds].sort())
})
