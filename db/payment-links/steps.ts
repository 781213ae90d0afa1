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
 * What a link has become, and the deliveries of the event that told of it. `paymentId` is of the payment
 * that paid it; of one that is active still, of the payment that decides.
 */
export type LinkRecorded = Pick<PaymentLinkRow, 'status' | 'paymentId'> & {
  deliveries: Delivery[]
}

/** In the transaction that settles its payment. The deliveries of `payment_link.paid`; null: no such move. */
export function markLinkPaid(tx: Tx, id: string, paymentId: string, now: Date) {
  return endLink(tx, id, { status: 'paid', paymentId }, now)
}

/**
 * Closes a link, unless a payment for it is open: then that one's outcome decides, and nothing changes.
 * A repeated call changes nothing and returns the first result again.
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
    // Who asked to cancel it before it expired has asked in time, even where that got lost on its way.
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
