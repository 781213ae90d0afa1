import { and, eq, or } from 'drizzle-orm'
import { AppError } from '../../core/errors.ts'
import type { OrderCommand } from '../../core/lifecycles/order.ts'
import { timesOfNew } from '../../core/lifecycles/sweep.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { ledgerAccounts } from '../ledger/schema.ts'
import { lockToCommand } from '../lifecycle-steps.ts'
import { equals, listRows, type Page } from '../lists.ts'
import { orders, payments } from '../payments/schema.ts'
import { type CommandRow, insertCommand } from '../requests/commands.ts'
import { firstRow, getterOf } from '../rows.ts'
import { insertEvent } from '../webhooks/events.ts'

export type OrderRow = typeof orders.$inferSelect
type NewOrder = Pick<
  OrderRow,
  'merchantId' | 'reference' | 'amount' | 'currency' | 'fulfilBy' | 'metadata'
>

/** Returns an order as the API and its events show it. */
export function toOrder(row: OrderRow) {
  return {
    id: row.id,
    object: 'order' as const,
    reference: row.reference,
    amount: row.amount,
    currency: row.currency,
    status: row.status,
    fulfil_by: row.fulfilBy.toISOString(),
    payment_id: row.paymentId,
    cancellation_reason: row.cancellationReason,
    metadata: row.metadata,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  }
}

/** Inserts an order and its event together. Returns both, with the event's deliveries. */
export async function insertOrder(tx: Tx, values: NewOrder, now: Date) {
  const [order] = await tx
    .insert(orders)
    .values({ id: newId('order'), ...values, ...timesOfNew(now) })
    .onConflictDoNothing({ target: [orders.merchantId, orders.reference] })
    .returning()
  if (!order) {
    const message = `There is an order with the reference ${values.reference} already.`
    throw new AppError('reference_taken', message, { param: 'reference' })
  }
  const event = { type: 'order.created' as const, merchantId: order.merchantId }
  return { order, event: await insertEvent(tx, { ...event, object: toOrder(order) }, now) }
}

export const getOrder = getterOf(orders, 'order')

/**
 * Gets an order by its id or by the merchant's own reference. A reference never looks like an id.
 */
export async function getNamedOrder(db: Db, merchantId: string, idOrReference: string) {
  const rows = await db.select().from(orders).where(named(merchantId, idOrReference))
  return firstRow(rows, 'order', idOrReference)
}

/**
 * Locks an order so that a payment can be added to it. The order is named as in `getNamedOrder`.
 */
export async function lockOrder(tx: Tx, merchantId: string, idOrReference: string) {
  const theirs = named(merchantId, idOrReference)
  const [row] = await tx.select().from(orders).where(theirs).for('no key update')
  return row
}

function named(merchantId: string, idOrReference: string) {
  const name = or(eq(orders.id, idOrReference), eq(orders.reference, idOrReference))
  return and(eq(orders.merchantId, merchantId), name)
}

type Filter = Page & { status?: OrderRow['status'] | undefined; reference?: string | undefined }

export function listOrders(db: Db, merchantId: string, { status, reference, ...page }: Filter) {
  const filters = [equals(orders.status, status), equals(orders.reference, reference)]
  return listRows(db, orders, merchantId, page, filters)
}

/**
 * Inserts a command on an order. Throws AppError when the status of the order does not allow the
 * command, or when the order has an open command already. Also throws when a paid order is to be
 * canceled and the balance does not cover its refund.
 */
export async function openOrderCommand(
  tx: Tx,
  merchantId: string,
  id: string,
  { kind }: OrderCommand,
  now: Date,
): Promise<CommandRow> {
  const order = await lockToCommand(tx, orders, { merchantId, id, kind })
  if (kind === 'cancel' && order.paymentId) await checkRefundable(tx, order.paymentId)
  return insertCommand(tx, { merchantId, resourceId: id, kind, amount: null }, now)
}

/**
 * Throws AppError when the balance does not cover the refund. A merchant who cancels an order must
 * have the money; a merchant who lets the deadline pass will owe it. One query reads both amounts,
 * because a refund changes the payment and the balance at the same moment.
 */
async function checkRefundable(tx: Tx, paymentId: string): Promise<void> {
  const { merchantId, currency, account, balance } = ledgerAccounts
  const theirs = and(eq(merchantId, payments.merchantId), eq(currency, payments.currency))
  const [found] = await tx
    .select({ captured: payments.amountCaptured, refunded: payments.amountRefunded, balance })
    .from(payments)
    .leftJoin(ledgerAccounts, and(theirs, eq(account, 'available')))
    .where(eq(payments.id, paymentId))
  if (!found) throw new Error(`No such payment: ${paymentId}`)
  const available = found.balance ?? 0
  if (available >= found.captured - found.refunded) return
  const message = `The available balance is ${available}, which does not cover the refund.`
  throw new AppError('insufficient_balance', message)
}
