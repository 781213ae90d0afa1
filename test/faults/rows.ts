import { eq, inArray } from 'drizzle-orm'
import { inboundEvents, invoices } from '../../db/invoices/schema.ts'
import { orders, paymentLinks, payments } from '../../db/payments/schema.ts'
import { payouts } from '../../db/payouts/schema.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { commands } from '../../db/requests/schema.ts'
import { deliveries, events } from '../../db/webhooks/schema.ts'
import { sandboxTransfers } from '../../providers/sandbox/schema.ts'
import type { Shop } from './shop.ts'

export type Payment = typeof payments.$inferSelect
export type Refund = typeof refunds.$inferSelect
export type Payout = typeof payouts.$inferSelect
export type Command = typeof commands.$inferSelect
export type Transfer = typeof sandboxTransfers.$inferSelect

/** Reads all rows of a shop. */
export async function rowsOf({ remit, merchant }: Shop) {
  const db = remit.db()
  const { id } = merchant
  return {
    payments: await db.select().from(payments).where(eq(payments.merchantId, id)),
    refunds: await db.select().from(refunds).where(eq(refunds.merchantId, id)),
    payouts: await db.select().from(payouts).where(eq(payouts.merchantId, id)),
    orders: await db.select().from(orders).where(eq(orders.merchantId, id)),
    links: await db.select().from(paymentLinks).where(eq(paymentLinks.merchantId, id)),
    invoices: await db.select().from(invoices).where(eq(invoices.merchantId, id)),
    inbound: await db.select().from(inboundEvents).where(eq(inboundEvents.merchantId, id)),
    deliveries: await db.select().from(deliveries).where(eq(deliveries.merchantId, id)),
    commands: await db.select().from(commands).where(eq(commands.merchantId, id)),
    events: await db.select().from(events).where(eq(events.merchantId, id)),
  }
}

export type Rows = Awaited<ReturnType<typeof rowsOf>>

/** Reads the transfers of a shop's refunds and payouts from the sandbox's own table. */
export function transfersOf({ remit }: Shop, rows: Pick<Rows, 'refunds' | 'payouts'>) {
  const ids = [...rows.refunds, ...rows.payouts].map(({ id }) => id)
  return remit.db().select().from(sandboxTransfers).where(inArray(sandboxTransfers.objectId, ids))
}

/** Says whether a transfer comes back after it arrived, which the provider reports later. */
export function isToReturn(transfer: Transfer): boolean {
  return transfer.returnsAt !== null && transfer.status !== 'canceled'
}

export function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
