import { eq, inArray } from 'drizzle-orm'
import { AppError } from '../../core/errors.ts'
import { type Account, balanceSign } from '../../core/money/ledger.ts'
import type { Db, Tx } from '../../db/client.ts'
import { insertTopup } from '../../db/ledger/balance.ts'
import { balanceTransactions, ledgerPostings } from '../../db/ledger/schema.ts'
import { findRow } from '../../db/lifecycle-steps.ts'
import { insertOrder, openOrderCommand } from '../../db/orders/orders.ts'
import { insertOrderPayment } from '../../db/orders/pay.ts'
import {
  cancelOrder,
  fulfillOrder,
  recordManualRefund,
  refundOrder,
} from '../../db/orders/steps.ts'
import { insertPayment } from '../../db/payments/payments.ts'
import { orders, payments } from '../../db/payments/schema.ts'
import { authorizePayment, settlePayment } from '../../db/payments/steps.ts'
import { insertPayout } from '../../db/payouts/payouts.ts'
import { payouts } from '../../db/payouts/schema.ts'
import { settlePayout, startPayout } from '../../db/payouts/steps.ts'
import { insertRefund } from '../../db/refunds/refunds.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { settleRefund } from '../../db/refunds/steps.ts'
import { commands } from '../../db/requests/schema.ts'
import { events } from '../../db/webhooks/schema.ts'
import { testCipher } from '../support/cipher.ts'
import { addMerchant } from '../support/db.ts'
import { currencies, merchants } from './ledger-history.ts'
import {
  emptyState,
  lateRefundOf,
  type Op,
  type OrderOp,
  ownerOf,
  type State,
  undoneBy,
} from './ledger-state.ts'

/** Runs a history on merchants in a real database. */
export async function ledgerWorld(db: Db, bps: number) {
  const merchantIds = await Promise.all(merchants.map(async () => (await addMerchant(db)).id))
  const ids = new Map<string, string>()
  const idOf = (name: string) => {
    const id = ids.get(name)
    if (!id) throw new Error(`It was never made: ${name}`)
    return id
  }
  const merchantOf = (of: number) => merchantIds[of] ?? ''

  /** Returns a status or the code of a refusal, as the model does. */
  async function run(op: Op): Promise<string> {
    try {
      return await runOrThrow(op)
    } catch (error) {
      if (error instanceof AppError) return error.code
      throw error
    }
  }

  async function make(name: string, write: (tx: Tx) => Promise<{ id: string }>): Promise<string> {
    ids.set(name, (await db.transaction(write)).id)
    return 'pending'
  }

  async function runOrThrow(op: Op): Promise<string> {
    const now = new Date()
    const failureCode = 'verdict' in op && op.verdict === 'failed' ? ('declined' as const) : null
    switch (op.do) {
      case 'pay':
        return make(op.name, async (tx) => (await insertPayment(tx, payment(op), now)).payment)
      case 'topup': {
        const { amount, currency } = op
        const topup = { merchantId: merchantOf(op.merchant), amount, currency }
        await make(op.name, (tx) => insertTopup(tx, topup, now))
        return 'done'
      }
      case 'refund': {
        const paymentId = idOf(op.payment)
        const [paid] = await db.select().from(payments).where(eq(payments.id, paymentId))
        const { merchantId = '' } = paid ?? {}
        const values = { merchantId, paymentId, amount: op.amount, reason: null, metadata: {} }
        return make(op.name, async (tx) => (await insertRefund(tx, values, now)).refund)
      }
      case 'payout': {
        const { amount, currency } = op
        const values = { merchantId: merchantOf(op.merchant), amount, currency, ...payoutDetails }
        const insert = (tx: Tx) => insertPayout(tx, testCipher, values, now)
        return make(op.name, async (tx) => (await insert(tx)).payout)
      }
      case 'authorize':
        return (await authorizePayment(db, idOf(op.name), now)).status
      case 'settlePayment': {
        const { name, verdict: status, amount: amountCaptured } = op
        const code = failureCode && ('upi_declined' as const)
        const verdict = { status, failureCode: code, amountCaptured }
        const settled = await settlePayment(db, idOf(name), verdict, { feeBps: bps, now })
        if (settled.refund) ids.set(lateRefundOf(name), settled.refund.id)
        return settled.status
      }
      case 'settleRefund': {
        const verdict = { status: op.verdict, failureCode, ref: null }
        return (await settleRefund(db, idOf(op.name), verdict, now)).status
      }
      case 'startPayout':
        return (await startPayout(db, idOf(op.name), `ref ${idOf(op.name)}`, now)).status
      case 'settlePayout': {
        const verdict = { status: op.verdict, failureCode, ref: null }
        return (await settlePayout(db, idOf(op.name), verdict, now)).status
      }
      default:
        return toOrder(op, now)
    }
  }

  async function toOrder(op: OrderOp, now: Date): Promise<string> {
    switch (op.do) {
      case 'order': {
        const { amount, currency, merchant } = op
        const values = { merchantId: merchantOf(merchant), amount, currency, ...orderDetails }
        await make(op.name, async (tx) => (await insertOrder(tx, values, now)).order)
        return 'created'
      }
      case 'payOrder': {
        const order = await findRow(db, orders, idOf(op.order))
        const { id: orderId, merchantId, amount, currency } = order
        const values = { ...paymentDetails, orderId, merchantId, amount, currency }
        return make(op.name, async (tx) => (await insertOrderPayment(tx, values, now)).payment)
      }
      case 'fulfill':
        return (await fulfillOrder(db, idOf(op.name), now)).status
      case 'ask': {
        const { id, merchantId } = await findRow(db, orders, idOf(op.name))
        await db.transaction((tx) => openOrderCommand(tx, merchantId, id, op, now))
        return 'open'
      }
      case 'cancel':
        return (await cancelOrder(db, idOf(op.name), op.reason, now)).status
      case 'undo':
        return undo(op.name, now)
      case 'undoByHand':
        return undoByHand(op.name, now)
    }
  }

  /**
   * Names the refund that this call made. A refund that was there already has a name, or gets a
   * name soon.
   */
  async function undo(order: string, now: Date): Promise<string> {
    const made = await refundOrder(db, idOf(order), now).catch((error: Error) => {
      if (/is still (pending|authorized)$/.test(error.message)) return 'payment open' as const
      throw error
    })
    if (made === 'payment open') return made
    if (!made) return 'done'
    const { reason } = await findRow(db, refunds, made.id)
    const isNew = reason === `Order ${idOf(order)} was canceled`
    return (isNew && nameRefund('undo', order, made)) || 'waits'
  }

  async function undoByHand(order: string, now: Date): Promise<string> {
    const id = idOf(order)
    await recordManualRefund(db, id, now)
    const reason = `Order ${id} was canceled, and refunded by an operator`
    const made = await db.select().from(refunds).where(eq(refunds.reason, reason))
    for (const refund of made) nameRefund('undoByHand', order, refund)
    return 'done'
  }

  /** Returns null if the refund already has a name. */
  function nameRefund(
    how: 'undo' | 'undoByHand',
    order: string,
    { id, amount }: { id: string; amount: number },
  ): string | null {
    if ([...ids.values()].includes(id)) return null
    const prefix = undoneBy(how, order, amount)
    const name = `${prefix}${[...ids.keys()].filter((one) => one.startsWith(prefix)).length}`
    ids.set(name, id)
    return name
  }

  function payment({ merchant, currency, amount }: Extract<Op, { do: 'pay' }>) {
    return { merchantId: merchantOf(merchant), currency, amount, ...paymentDetails }
  }

  /** Returns the content of the database in the form of the model's state. */
  async function look(): Promise<State> {
    const names = new Map([...ids].map(([name, id]) => [id, name]))
    const nameOf = (id: string) => names.get(id) ?? `unknown ${id}`
    const owner = (row: { merchantId: string; currency: string }) =>
      ownerOf(merchantIds.indexOf(row.merchantId), row.currency)
    const state = emptyState(merchants.flatMap((of) => currencies.map((one) => ownerOf(of, one))))

    const theirs = { where: inArray(payments.merchantId, merchantIds) }
    for (const row of await db.select().from(payments).where(theirs.where)) {
      const { id, amount, status, amountCaptured: captured, amountRefunded: refunded } = row
      const order = row.orderId && nameOf(row.orderId)
      const rest = { order, captured, refunded, attention: row.needsAttention }
      state.payments[nameOf(id)] = { owner: owner(row), amount, status, ...rest }
    }
    const commanded = await db
      .select()
      .from(commands)
      .where(inArray(commands.merchantId, merchantIds))
    for (const row of await db
      .select()
      .from(orders)
      .where(inArray(orders.merchantId, merchantIds))) {
      const { id, amount, status, paymentId, cancellationReason: reason, isCompensating } = row
      const payment = paymentId && nameOf(paymentId)
      const told = commanded.filter(({ resourceId }) => resourceId === id)
      const asked = { asked: told[0]?.kind ?? null, answer: told[0]?.status ?? null }
      const rest = { reason, isCompensating, ...asked }
      state.orders[nameOf(id)] = { owner: owner(row), amount, status, payment, ...rest }
      expect(told.length).toBeLessThanOrEqual(1)
    }
    const sentBack = inArray(refunds.merchantId, merchantIds)
    for (const row of await db.select().from(refunds).where(sentBack)) {
      const { id, paymentId, amount, status } = row
      state.refunds[nameOf(id)] = { owner: owner(row), payment: nameOf(paymentId), amount, status }
    }
    const sentOut = inArray(payouts.merchantId, merchantIds)
    for (const row of await db.select().from(payouts).where(sentOut)) {
      const { id, amount, status, needsAttention: attention } = row
      state.payouts[nameOf(id)] = { owner: owner(row), amount, status, attention }
    }
    const posted = await db
      .select()
      .from(balanceTransactions)
      .innerJoin(ledgerPostings, eq(ledgerPostings.transactionId, balanceTransactions.id))
      .where(inArray(balanceTransactions.merchantId, merchantIds))
    for (const { balance_transactions: row, ledger_postings: posting } of posted) {
      const sums = state.balances[owner(row)]
      if (sums) sums[posting.account] += signOf(posting.account) * posting.amount
      state.booked[`${nameOf(row.sourceId)} ${row.type}`] = true
    }
    const told = await db.select().from(events).where(inArray(events.merchantId, merchantIds))
    for (const { resourceId, type } of told) state.told[`${nameOf(resourceId)} ${type}`] = true
    expect(told).toHaveLength(Object.keys(state.told).length) // no event is emitted twice
    return state
  }

  return { run, look, merchantIds }
}

function signOf(account: Account): 1 | -1 {
  return balanceSign(account) || 1
}

const paymentDetails = {
  orderId: null,
  method: 'upi' as const,
  vpa: 'test@upi',
  captureMethod: 'automatic' as const,
  cardToken: null,
  cardBrand: null,
  cardLast4: null,
  description: null,
  metadata: {},
  provider: 'sandbox',
}
const orderDetails = {
  reference: null,
  fulfilBy: new Date('2100-01-01T00:00:00Z'),
  metadata: {},
}
const payoutDetails = {
  destination: { type: 'vpa' as const, vpa: 'seller@upi' },
  description: null,
  metadata: {},
  provider: 'sandbox',
}
