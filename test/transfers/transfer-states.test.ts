import { and, eq } from 'drizzle-orm'
import { type PayoutStatus, payoutLifecycle } from '../../core/lifecycles/payout.ts'
import { type RefundStatus, refundLifecycle } from '../../core/lifecycles/refund.ts'
import { statusesBefore } from '../../core/lifecycles/transitions.ts'
import type { Account, BalanceTransactionType } from '../../core/money/ledger.ts'
import { balanceTransactions, ledgerPostings } from '../../db/ledger/schema.ts'
import { findRow } from '../../db/lifecycle-steps.ts'
import { payments } from '../../db/payments/schema.ts'
import { payouts } from '../../db/payouts/schema.ts'
import { settlePayout, startPayout } from '../../db/payouts/steps.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { settleRefund } from '../../db/refunds/steps.ts'
import { events } from '../../db/webhooks/schema.ts'
import { testDb } from '../support/db.ts'
import { contents, succeed, testShop, upi } from '../support/http.ts'

const db = testDb()
const AMOUNT = 20_000

type Postings = Partial<Record<Account, number>>
type Move<Status> = [from: Status, to: Status, BalanceTransactionType | null, Postings]

const left: Postings = { held: -AMOUNT, clearing: AMOUNT }
const released: Postings = { held: -AMOUNT, available: AMOUNT }
const cameBack: Postings = { clearing: -AMOUNT, available: AMOUNT }
const leftLate: Postings = { available: -AMOUNT, clearing: AMOUNT }

/** The tables write out every move and its booking, because moves must change on purpose only. */
const refundTable: Move<RefundStatus>[] = [
  ['pending', 'succeeded', 'refund_settlement', left],
  ['pending', 'failed', 'refund_failure', released],
  ['succeeded', 'failed', 'refund_failure', cameBack],
]
const payoutTable: Move<PayoutStatus>[] = [
  ['pending', 'processing', null, {}],
  ['pending', 'completed', 'payout_settlement', left],
  ['pending', 'failed', 'payout_failure', released],
  ['pending', 'canceled', 'payout_cancel', released],
  ['processing', 'completed', 'payout_settlement', left],
  ['processing', 'failed', 'payout_failure', released],
  ['completed', 'failed', 'payout_failure', cameBack],
]

/** A late success is no move: it is booked once and marked for an operator. */
const late = [
  ['refund', 'failed', 'succeeded', 'late_refund'],
  ['payout', 'failed', 'completed', 'late_payout'],
  ['payout', 'canceled', 'completed', 'late_payout'],
] as const

const pairs = <T>(from: readonly T[], to: readonly T[]) =>
  from.flatMap((one) => to.map((other) => [one, other] as const))
const find = <T>(table: Move<T>[], from: T, to: T) =>
  table.find(([before, after]) => before === from && after === to)

test.each(pairs(refundLifecycle.statuses, refundLifecycle.statuses))(
  'core knows whether a refund goes from %s to %s',
  (from, to) => {
    expect(statusesBefore(refundLifecycle.moves, to).includes(from)).toBe(
      !!find(refundTable, from, to),
    )
  },
)
test.each(pairs(payoutLifecycle.statuses, payoutLifecycle.statuses))(
  'core knows whether a payout goes from %s to %s',
  (from, to) => {
    expect(statusesBefore(payoutLifecycle.moves, to).includes(from)).toBe(
      !!find(payoutTable, from, to),
    )
  },
)

const settleR = (id: string, status: RefundStatus) => {
  if (status === 'pending') throw new Error('No verdict')
  const failureCode = status === 'failed' ? ('declined' as const) : null
  return settleRefund(db, id, { status, failureCode, ref: null }, new Date())
}
const settleP = (id: string, status: PayoutStatus) => {
  if (status === 'pending') throw new Error('No verdict')
  if (status === 'processing') return startPayout(db, id, `ref ${id}`, new Date())
  const failureCode = status === 'failed' ? ('declined' as const) : null
  return settlePayout(db, id, { status, failureCode, ref: null }, new Date())
}

/** Makes a refund with this status, at a shop with more than enough money. */
async function refundIn(status: RefundStatus) {
  const { call } = await testShop(db)
  const { body: payment } = await call('POST', '/api/v1/payments', upi)
  await succeed(db, payment.id)
  const path = `/api/v1/payments/${payment.id}/refunds`
  const { body } = await call('POST', path, { amount: AMOUNT })
  if (status !== 'pending') await settleR(body.id, status)
  const isMarked = async () => isPaymentMarked(payment.id)
  return { id: body.id as string, isMarked, paymentId: payment.id as string }
}

async function payoutIn(status: PayoutStatus) {
  const { call } = await testShop(db)
  await call('POST', '/api/v1/test/balance_topups', { amount: 3 * AMOUNT, currency: 'INR' })
  const destination = { type: 'vpa', vpa: 'seller@upi' }
  const { body } = await call('POST', '/api/v1/payouts', {
    amount: AMOUNT,
    currency: 'INR',
    destination,
  })
  if (status !== 'pending') await settleP(body.id, status)
  const isMarked = async () => (await findRow(db, payouts, body.id)).needsAttention
  return { id: body.id as string, isMarked }
}

async function isPaymentMarked(id: string): Promise<boolean> {
  const [payment] = await db.select().from(payments).where(eq(payments.id, id))
  return payment?.needsAttention ?? false
}

async function eventsOf(id: string): Promise<string[]> {
  const told = await db.select().from(events).where(eq(events.resourceId, id))
  return told.map(({ type }) => type).sort()
}

async function bookedTypes(sourceId: string): Promise<string[]> {
  const { sourceId: source } = balanceTransactions
  const booked = await db.select().from(balanceTransactions).where(eq(source, sourceId))
  return booked.map(({ type }) => type).sort()
}

async function postingsOf(sourceId: string, type: BalanceTransactionType): Promise<Postings> {
  const { id, sourceId: source, type: ofType } = balanceTransactions
  const rows = await db
    .select({ account: ledgerPostings.account, amount: ledgerPostings.amount })
    .from(ledgerPostings)
    .innerJoin(balanceTransactions, eq(id, ledgerPostings.transactionId))
    .where(and(eq(source, sourceId), eq(ofType, type)))
  return Object.fromEntries(rows.map(({ account, amount }) => [account, amount]))
}

/** Expects the move to `to` to be booked and emitted, and to happen only once. */
async function expectMoved<Status extends string>(
  { id, isMarked }: { id: string; isMarked: () => Promise<boolean> },
  settle: (id: string, to: Status) => Promise<{ status: Status }>,
  [, to, type, postings]: Move<Status>,
  noun: 'refund' | 'payout',
) {
  const [told, booked] = [await eventsOf(id), await bookedTypes(id)]
  expect((await settle(id, to)).status).toBe(to)
  expect(await eventsOf(id)).toEqual([...told, `${noun}.${to}`].sort())
  expect(await bookedTypes(id)).toEqual([...booked, ...(type ? [type] : [])].sort())
  if (type) expect(await postingsOf(id, type)).toEqual(postings)
  expect(await isMarked()).toBe(false)
  const before = await contents(db)
  expect((await settle(id, to)).status).toBe(to)
  expect(await contents(db)).toEqual(before)
}

test.each(refundTable)('a refund that is %s can be settled as %s', async (...move) => {
  const refund = await refundIn(move[0])
  await expectMoved(refund, settleR, move, 'refund')
  const row = await findRow(db, refunds, refund.id)
  expect(row).toMatchObject({
    status: move[1],
    failureCode: move[1] === 'failed' ? 'declined' : null,
  })
  const [payment] = await db.select().from(payments).where(eq(payments.id, refund.paymentId))
  expect(payment?.amountRefunded).toBe(move[1] === 'failed' ? 0 : AMOUNT)
})

test.each(payoutTable)('a payout that is %s can become %s', async (...move) => {
  const payout = await payoutIn(move[0])
  await expectMoved(payout, settleP, move, 'payout')
  const row = await findRow(db, payouts, payout.id)
  expect(row).toMatchObject({
    status: move[1],
    failureCode: move[1] === 'failed' ? 'declined' : null,
  })
})

const isLate = (noun: string, from: string, to: string) =>
  late.some(([of, before, after]) => of === noun && before === from && after === to)

test.each(
  pairs<RefundStatus>(refundLifecycle.statuses, refundLifecycle.verdicts).filter(
    ([from, to]) => !find(refundTable, from, to) && !isLate('refund', from, to),
  ),
)('a refund that is %s stays so when it is settled as %s', async (from, to) => {
  const { id } = await refundIn(from)
  const before = await contents(db)
  expect((await settleR(id, to)).status).toBe(from)
  expect(await contents(db)).toEqual(before)
})

test.each(
  pairs<PayoutStatus>(payoutLifecycle.statuses, ['processing', ...payoutLifecycle.verdicts]).filter(
    ([from, to]) => !find(payoutTable, from, to) && !isLate('payout', from, to),
  ),
)('a payout that is %s stays so when it is settled as %s', async (from, to) => {
  const { id } = await payoutIn(from)
  const before = await contents(db)
  expect((await settleP(id, to)).status).toBe(from)
  expect(await contents(db)).toEqual(before)
})

test.each(late)(
  'a %s that is %s stays so after a late verdict "%s", which is booked once',
  async (noun, from, to, type) => {
    const { id, isMarked } =
      noun === 'refund' ? await refundIn(from as 'failed') : await payoutIn(from)
    const settle = () =>
      noun === 'refund' ? settleR(id, 'succeeded') : settleP(id, to as 'completed')
    const [told, booked] = [await eventsOf(id), await bookedTypes(id)]
    const answers = await Promise.all([settle(), settle(), settle()])
    expect(answers.map(({ status }) => status)).toEqual([from, from, from])
    expect(await eventsOf(id)).toEqual(told)
    expect(await bookedTypes(id)).toEqual([...booked, type].sort())
    expect(await postingsOf(id, type)).toEqual(leftLate)
    expect(await isMarked()).toBe(true)
    const before = await contents(db)
    expect((await settle()).status).toBe(from)
    expect(await contents(db)).toEqual(before)
  },
)

test('a transfer that succeeded and came back books no second success', async () => {
  const refund = await refundIn('succeeded')
  await settleR(refund.id, 'failed')
  const payout = await payoutIn('completed')
  await settleP(payout.id, 'failed')
  const before = await contents(db)
  expect((await settleR(refund.id, 'succeeded')).status).toBe('failed')
  expect((await settleP(payout.id, 'completed')).status).toBe('failed')
  expect(await contents(db)).toEqual(before)
})

test('one of three verdicts at once on a payout wins, unless the payout comes back', async () => {
  for (const _ of [1, 2, 3, 4, 5]) {
    const { id } = await payoutIn('pending')
    const verdicts = payoutLifecycle.verdicts.map((verdict) => settleP(id, verdict))
    const answers = (await Promise.all(verdicts)).map(({ status }) => status)
    const { status } = await findRow(db, payouts, id)
    expect(answers).toContain(status)
    const told = (await eventsOf(id)).filter((type) => type !== 'payout.created')
    const returned = ['payout.completed', 'payout.failed']
    expect([[`payout.${status}`], returned]).toContainEqual(told)
    expect((await bookedTypes(id)).filter((type) => type === 'payout_cancel')).toHaveLength(
      status === 'canceled' ? 1 : 0,
    )
  }
})

test('two verdicts at once on a refund end as a return or as a late success', async () => {
  for (const _ of [1, 2, 3, 4, 5]) {
    const { id } = await refundIn('pending')
    await Promise.all(refundLifecycle.verdicts.map((verdict) => settleR(id, verdict)))
    const { status } = await findRow(db, refunds, id)
    expect(status).toBe('failed')
    expect([
      ['refund', 'refund_failure', 'refund_settlement'], // the refund came back
      ['late_refund', 'refund', 'refund_failure'],
    ]).toContainEqual(await bookedTypes(id))
  }
})

test('a refund or payout that does not exist cannot be settled', async () => {
  await expect(settleR('re_404', 'failed')).rejects.toMatchObject({ code: 'not_found' })
  await expect(settleP('po_404', 'failed')).rejects.toMatchObject({ code: 'not_found' })
  await expect(settleP('po_404', 'processing')).rejects.toMatchObject({ code: 'not_found' })
})
