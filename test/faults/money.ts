import { eq, inArray } from 'drizzle-orm'
import { balanceTransactions } from '../../db/ledger-schema.ts'
import { sandboxCharges, sandboxTransfers } from '../../db/sandbox-schema.ts'
import type { commands, payments } from '../../db/schema.ts'
import type { payouts, refunds } from '../../db/transfer-schema.ts'
import { expectLawful } from '../ledger-laws.ts'
import { isCommand } from './client.ts'
import type { Shop } from './shop.ts'

type Payment = typeof payments.$inferSelect
type Refund = typeof refunds.$inferSelect
type Payout = typeof payouts.$inferSelect
type Command = typeof commands.$inferSelect
type Transfer = typeof sandboxTransfers.$inferSelect
export type Money = { payments: Payment[]; refunds: Refund[]; payouts: Payout[] }

const TIMES_DOWN = 2

/** What comes back once it has arrived, which is told of later. */
export function isToReturn(transfer: Transfer): boolean {
  return transfer.returnsAt !== null && transfer.status !== 'canceled'
}

/** Of a shop's refunds and payouts, as the sandbox has them in its own table. */
export async function transfersOf({ remit }: Shop, { refunds, payouts }: Omit<Money, 'payments'>) {
  const ids = [...refunds, ...payouts].map(({ id }) => id)
  return remit.db().select().from(sandboxTransfers).where(inArray(sandboxTransfers.objectId, ids))
}

/** Counted by the sandbox, in its own table. */
export async function expectChargedOnce({ remit }: Shop, paid: Payment[]): Promise<void> {
  const ids = paid.map(({ id }) => id)
  const charges = await remit
    .db()
    .select()
    .from(sandboxCharges)
    .where(inArray(sandboxCharges.paymentId, ids))
  for (const { id, status, amount, amountCaptured, providerRef } of paid) {
    const made = charges.filter(({ paymentId }) => paymentId === id)
    expect(made).toMatchObject([{ id: providerRef, status, amount, amountCaptured }])
  }
}

/** Each refund and payout left once, as it says; nothing left of a payout canceled before it was sent. */
export async function expectSentOnce(shop: Shop, money: Money): Promise<void> {
  const transfers = await transfersOf(shop, money)
  const chargeOf = (refund: Refund) =>
    money.payments.find(({ id }) => id === refund.paymentId)?.providerRef
  const all = [
    ...money.refunds.map((one) => ({ ...one, kind: 'refund', chargeId: chargeOf(one) })),
    ...money.payouts.map((one) => ({ ...one, kind: 'payout', chargeId: null })),
  ]
  for (const { id, kind, chargeId, status, failureCode, amount, currency, ...rest } of all) {
    const sent = transfers.filter(({ objectId }) => objectId === id)
    const unavailable = sent.filter((one) => one.status === 'unavailable')
    const left = sent.filter((one) => one.status !== 'unavailable')
    expect(unavailable.length).toBeLessThanOrEqual(TIMES_DOWN)
    if (status === 'canceled' && left.length === 0) continue
    const ended = status === 'completed' ? 'succeeded' : status
    const expected = { kind, chargeId, status: ended, failureCode, amount, currency }
    expect(left).toMatchObject([{ ...expected, id: rest.providerRef ?? left[0]?.id }])
  }
}

/** By what the sandbox says that came in and left: so much is available, and nothing held or owed. */
export async function expectBalanced(shop: Shop, money: Money): Promise<void> {
  const { remit, merchant, client } = shop
  const sums = await expectLawful(remit.db(), merchant.id)
  const left = (await transfersOf(shop, money)).filter(({ status }) => status === 'succeeded')
  const topups = client.asked.filter(({ path }) => path.endsWith('/balance_topups'))
  const toppedUp = topups.map(({ answers: [one] }) => Number(one && 'amount' in one && one.amount))
  const captured = money.payments.map(({ amountCaptured }) => amountCaptured)
  const available = sum(captured) + sum(toppedUp) - sum(left.map(({ amount }) => amount))
  expect(sums['INR available'] ?? 0).toBe(available)
  expect([sums['INR held'] ?? 0, sums['INR receivable'] ?? 0]).toEqual([0, 0])

  const db = remit.db()
  const { merchantId } = balanceTransactions
  const booked = await db.select().from(balanceTransactions).where(eq(merchantId, merchant.id))
  const made = topups.map(({ answers: [one] }) => one && 'id' in one && one.id)
  expect(
    booked
      .filter(({ type }) => type === 'topup')
      .map((one) => one.sourceId)
      .sort(),
  ).toEqual(made.sort())
}

/** What was done to a payout was asked for, and what was asked for was done, unless refused. */
export function expectPayoutsObeyed(shop: Shop, paidOut: Payout[], told: Command[]): void {
  for (const { id, status } of paidOut) {
    const done = told.filter((one) => one.resourceId === id && one.status === 'done')
    const kinds = done.map(({ kind }) => kind)
    expect(status === 'canceled').toBe(kinds.includes('cancel'))
    if (kinds.includes('fail')) expect(status).toBe('failed')
    for (const { path, answers } of shop.client.asked.filter(isCommand)) {
      const [answer] = answers
      if (!path.includes(id) || !answer || 'refused' in answer) continue
      const verb = path.split('/').at(-1) ?? ''
      expect(doneBy[verb]).toContain(answer.status)
    }
  }
}

/** What is completed may have come back before its answer was read. */
const doneBy: Record<string, string[]> = {
  cancel: ['canceled'],
  complete: ['completed', 'failed'],
  fail: ['failed'],
}

/** The step that each booking was part of; those of the steps that book nothing come on their own. */
const tellingOf: Record<string, string> = {
  refund_settlement: 'refund.succeeded',
  refund_failure: 'refund.failed',
  payout_settlement: 'payout.completed',
  payout_failure: 'payout.failed',
  payout_cancel: 'payout.canceled',
}

/** Each step of each object, as `<id> <type>`; whether a payout was seen on its way is chance. */
export async function stepsOf(shop: Shop, money: Money): Promise<string[]> {
  const { merchantId } = balanceTransactions
  const booked = await shop.remit
    .db()
    .select()
    .from(balanceTransactions)
    .where(eq(merchantId, shop.merchant.id))
  return [
    ...money.payments.flatMap(({ id, status, captureMethod }) => [
      `${id} payment.created`,
      ...(captureMethod === 'manual' && status !== 'failed' ? [`${id} payment.authorized`] : []),
      `${id} payment.${status}`,
    ]),
    ...money.refunds.map(({ id }) => `${id} refund.created`),
    ...money.payouts.map(({ id }) => `${id} payout.created`),
    ...booked
      .filter(({ type }) => type in tellingOf)
      .map(({ sourceId, type }) => `${sourceId} ${tellingOf[type]}`),
  ]
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
