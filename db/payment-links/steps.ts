import { and, eq, inArray } from 'drizzle-orm'
import { commandDoneBy } from '../../core/lifecycles/lifecycle.ts'
import { linkLifecycle, type PaymentLinkStatus } from '../../core/lifecycles/payment-link.ts'
import { statusesBefore } from '../../core/lifecycles/transitions.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import type { Db, Tx } from '../client.ts'
import { findPaymentOf } from '../payments/payments.ts'
import { paymentLinks } from '../payments/schema.ts'
import { answerCommand, findOpenCommand } from '../requests/commands.ts'
import { findEventDeliveries, insertEvent } from '../webhooks/events.ts'
import { type PaymentLinkRow, toPaymentLink } from './payment-links.ts'

/**
 * The recorded outcome of a link, with the deliveries of the emitted event. `paymentId` names the
 * payment that paid the link. If the link is still active, `paymentId` names the payment whose
 * outcome decides.
 */
export type LinkRecorded = Pick<PaymentLinkRow, 'status' | 'paymentId'> & {
  deliveries: Delivery[]
}

/**
 * Marks a link as paid, in the transaction that settles its payment. Returns the deliveries of
 * `payment_link.paid`, or null if the lifecycle does not have that move.
 */
export function markLinkPaid(tx: Tx, id: string, paymentId: string, now: Date) {
  return endLink(tx, id, { status: 'paid', paymentId }, now)
}

/**
 * Closes a link, unless a payment for it is open. Then nothing changes, because the outcome of that
 * payment decides. A repeated call changes nothing and returns the first result again.
 */
export async function closeLink(
  db: Db,
  id: string,
  status: 'expired' | 'canceled',
  now: Date,
): Promise<LinkRecorded> {
  return db.transaction(async (tx) => {
    const theLink = eq(paymentLinks.id, id)
    const [link] = await tx.select().from(paymentLinks).where(theLink).for('no key update')
    if (!link) throw new Error(`No such payment link: ${id}`)
    if (link.status !== 'active') {
      const told = await findEventDeliveries(tx, `payment_link.${link.status}`, id)
      return { status: link.status, paymentId: link.paymentId, deliveries: told ?? [] }
    }
    const payment = await findPaymentOf(tx, id)
    if (payment) return { status: 'active', paymentId: payment.id, deliveries: [] }
    // A cancel that arrived before the link expired is in time, even if its update got lost.
    const to = (await findOpenCommand(tx, id, 'close')) ? 'canceled' : status
    const deliveries = (await endLink(tx, id, { status: to, paymentId: null }, now)) ?? []
    return { status: to, paymentId: null, deliveries }
  })
}

type End = { status: Exclude<PaymentLinkStatus, 'active'>; paymentId: string | null }

async function endLink(tx: Tx, id: string, end: End, now: Date): Promise<Delivery[] | null> {
  const from = statusesBefore(linkLifecycle.moves, end.status)
  const [link] = await tx
    .update(paymentLinks)
    .set({ ...end, nextSweepAt: null, updatedAt: now })
    .where(and(eq(paymentLinks.id, id), inArray(paymentLinks.status, from)))
    .returning()
  if (!link) return null
  const { merchantId, amount } = link
  await answerCommand(
    tx,
    id,
    { done: commandDoneBy(linkLifecycle, end.status), amount, ofAmount: amount },
    now,
  )
  const event = { type: `payment_link.${end.status}` as const, merchantId }
  return (await insertEvent(tx, { ...event, object: toPaymentLink(link) }, now)).deliveries
}
