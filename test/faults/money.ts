import { eq, inArray } from 'drizzle-orm'
import { balanceTransactions } from '../../db/ledger/schema.ts'
import { sandboxCharges } from '../../providers/sandbox/schema.ts'
import { expectLawful } from '../ledger/ledger-laws.ts'
import { isCommand } from './client.ts'
import { type Command, type Payment, type Payout, type Rows, sum, transfersOf } from './rows.ts'
import type { Shop } from './shop.ts'

export type Money = Pick<Rows, 'payments' | 'refunds' | 'payouts'>

const TIMES_DOWN = 2

/**
 * Checks in the sandbox's own table that each payment has one charge. A payment that was canceled
 * before its charge was created has no charge that took money.
 */
export async function expectChargedOnce({ remit }: Shop, paid: Payment[]): Promise<void> {
  const ids = paid.map(({ id }) => id)
  const charges = await remit
    .db()
    .select()
    .from(sandboxCharges)
    .where(inArray(sandboxCharges.paymentId, ids))
  for (const { id, status, amount, amountCaptured, providerRef } of paid) {
    const made = charges.filter(({ paymentId }) => paymentId === id)
    if (status === 'canceled' && !providerRef)
      expect(made.filter((charge) => charge.status !== 'created')).toEqual([])
    else expect(made).toMatchObject([{ id: providerRef, status, amount, amountCaptured }])
  }
}

/**
 * Checks that each refund and payout left once, as its row says. A payout that was canceled before
 * it was sent did not leave.
 */
export async function expectSentOnce(shop: Shop, money: Money): Promise<void> {
  const transfers = await transfersOf(shop, money)
  const chargeOf = ({ paymentId }: Rows['refunds'][number]) =>
    money.payments.find(({ id }) => id === paymentId)?.providerRef
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

/**
 * Checks the balance by the money that came in and left at the sandbox. The difference is available
 * or owed, and nothing is held.
 */
export async function expectBalanced(shop: Shop, money: Money): Promise<void> {
  const { remit, merchant, client } = shop
  const sums = await expectLawful(remit.db(), merchant.id)
  const left = (await transfersOf(shop, money)).filter(({ status }) => status === 'succeeded')
  const topups = client.asked.filter(({ path }) => path.endsWith('/balance_topups'))
  const toppedUp = topups.map(({ answers: [one] }) => Number(one && 'amount' in one && one.amount))
  const captured = money.payments.map(({ amountCaptured }) => amountCaptured)
  const available = sum(captured) + sum(toppedUp) - sum(left.map(({ amount }) => amount))
  // A debt is a debit. By the laws of the ledger one of the two is zero.
  expect((sums['INR available'] ?? 0) + (sums['INR receivable'] ?? 0)).toBe(available)
  expect(sums['INR held'] ?? 0).toBe(0)

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

/** Checks that commands explain the end of each payout, and that each accepted command was done. */
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

/** A completed payout may have come back before the answer was read. */
const doneBy: Record<string, string[]> = {
  cancel: ['canceled'],
  complete: ['completed', 'failed'],
  fail: ['failed'],
}

/** Maps the type of a booking to its step. `stepsOf` adds the steps that book nothing. */
const tellingOf: Record<string, string> = {
  refund_settlement: 'refund.succeeded',
  refund_failure: 'refund.failed',
  payout_settlement: 'payout.completed',
  payout_failure: 'payout.failed',
  payout_cancel: 'payout.canceled',
}

/** Returns each step of each object as `<id> <type>`. Chance decides on `payout.processing`. */
export async function stepsOf(shop: Shop, money: Money): Promise<string[]> {
  const { merchantId } = balanceTransactions
  const booked = await shop.remit
    .db()
    .select()
    .from(balanceTransactions)
    .where(eq(merchantId, shop.merchant.id))
  return [
    ...money.payments.flatMap(({ id, status, authorizedAt }) => [
      `${id} payment.created`,
      ...(authorizedAt ? [`${id} payment.authorized`] : []),
      `${id} payment.${status}`,
    ]),
    ...money.refunds.map(({ id }) => `${id} refund.created`),
    ...money.payouts.map(({ id }) => `${id} payout.created`),
    ...booked
      .filter(({ type }) => type in tellingOf)
      .map(({ sourceId, type }) => `${sourceId} ${tellingOf[type]}`),
  ]
}
