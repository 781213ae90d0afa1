import { eq, inArray } from 'drizzle-orm'
import type { Db } from '../../db/client.ts'
import { orders, paymentLinks, payments } from '../../db/payments/schema.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { commands } from '../../db/requests/schema.ts'
import { events } from '../../db/webhooks/schema.ts'
import { sandboxCharges, sandboxTransfers } from '../../providers/sandbox/schema.ts'
import { expectLawful } from '../ledger/ledger-laws.ts'

/** Returns all rows of Remit and of the sandbox about an order or a link and its money. */
export async function saleOf(db: Db, id: string) {
  const isLink = id.startsWith('plink_')
  const table = (isLink ? paymentLinks : orders) as typeof orders
  const [row] = await db.select().from(table).where(eq(table.id, id))
  if (!row) throw new Error(`Not there: ${id}`)
  const payable = isLink ? payments.paymentLinkId : payments.orderId
  const paid = await db.select().from(payments).where(eq(payable, id)).orderBy(payments.id)
  const ids = paid.map((payment) => payment.id)
  const back = await db.select().from(refunds).where(inArray(refunds.paymentId, ids))
  const all = [id, ...ids, ...back.map((refund) => refund.id)]
  const refs = paid.map(({ providerRef }) => providerRef ?? '')
  return {
    row,
    payments: paid,
    refunds: back,
    commands: await db.select().from(commands).where(inArray(commands.resourceId, all)),
    events: await db.select().from(events).where(inArray(events.resourceId, all)),
    charges: await db.select().from(sandboxCharges).where(inArray(sandboxCharges.paymentId, ids)),
    transfers: await db
      .select()
      .from(sandboxTransfers)
      .where(inArray(sandboxTransfers.chargeId, refs)),
  }
}

/** Returns the sorted event types of an order or a link, without those of payments and refunds. */
export async function toldOf(db: Db, id: string): Promise<string[]> {
  const { events } = await saleOf(db, id)
  return events
    .filter(({ resourceId }) => resourceId === id)
    .map(({ type }) => type.replace(/^\w+\./, ''))
    .sort()
}

/**
 * Asserts that the money and the status of an order or a link agree, whatever happened to it. The
 * workflow must have ended or wait for the merchant.
 */
export async function expectAgreed(db: Db, id: string): Promise<void> {
  const { merchantId } = await expectKept(db, id)
  await expectLawful(db, merchantId)
}

/** Asserts the same as `expectAgreed`, without the merchant's sums. */
export async function expectKept(db: Db, id: string): Promise<{ merchantId: string }> {
  const sale = await saleOf(db, id)
  const { row, payments: paid } = sale
  const open = paid.filter(({ status }) => ['pending', 'authorized'].includes(status))
  expect(open).toEqual([])
  expect(sale.commands.filter(({ status }) => status === 'open')).toEqual([])
  expect(row.isCompensating ?? false).toBe(false)

  const bySaga = sale.refunds.filter(({ reason }) => reason === `Order ${id} was canceled`)
  const isPaid = row.status === 'paid' || row.status === 'fulfilled'
  const succeeded = paid.filter(({ status }) => status === 'succeeded')
  if (isPaid) {
    expect(succeeded.map((payment) => payment.id)).toEqual([row.paymentId])
    expect(bySaga).toEqual([])
  } else {
    const kept = paid.filter((one) => one.amountCaptured !== one.amountRefunded)
    expect(kept).toEqual([])
    expect(sale.refunds.filter(({ status }) => status === 'pending')).toEqual([])
  }
  expectOnce(sale)
  return row
}

/** Counts at the sandbox: a payment has at most one charge, and no more goes back than came in. */
function expectOnce({ payments: paid, refunds, charges, transfers, events }: Sale) {
  for (const { id, status, amountCaptured, amountRefunded, providerRef } of paid) {
    const made = charges.filter(({ paymentId }) => paymentId === id)
    expect(made.length).toBeLessThanOrEqual(1)
    expect(made[0]?.amountCaptured ?? 0).toBe(amountCaptured)
    if (status === 'succeeded') expect(made).toMatchObject([{ status }])
    const back = transfers.filter((one) => one.chargeId === providerRef)
    const byHand = refunds.filter((one) => one.paymentId === id && one.provider === 'manual')
    const arrived = [...back, ...byHand].filter((one) => one.status === 'succeeded')
    expect(arrived.reduce((sum, one) => sum + one.amount, 0)).toBe(amountRefunded)
  }
  for (const { id } of refunds) {
    const sent = transfers.filter(
      ({ objectId, status }) => objectId === id && status !== 'unavailable',
    )
    expect(sent.length).toBeLessThanOrEqual(1)
  }
  const told = events.map(({ resourceId, type }) => `${resourceId} ${type}`).sort()
  expect(told).toEqual([...new Set(told)])
}

type Sale = Awaited<ReturnType<typeof saleOf>>
