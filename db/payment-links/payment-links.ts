import { eq } from 'drizzle-orm'
import { AppError } from '../../core/errors.ts'
import type { LinkCommand, PaymentLinkStatus } from '../../core/lifecycles/payment-link.ts'
import { timesOfNew } from '../../core/lifecycles/sweep.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { lockToCommand } from '../lifecycle-steps.ts'
import { equals, type List, listRows, type Page } from '../lists.ts'
import { merchants } from '../merchants/schema.ts'
import { paymentLinks } from '../payments/schema.ts'
import { type CommandRow, findOpenCommand, insertCommand } from '../requests/commands.ts'
import { firstRow, getterOf } from '../rows.ts'
import { insertEvent } from '../webhooks/events.ts'

export type PaymentLinkRow = typeof paymentLinks.$inferSelect
type NewPaymentLink = Pick<
  PaymentLinkRow,
  'merchantId' | 'amount' | 'currency' | 'description' | 'expiresAt' | 'metadata'
>

/** Returns a payment link as the API and its events show it. */
export function toPaymentLink(row: PaymentLinkRow) {
  return {
    id: row.id,
    object: 'payment_link' as const,
    status: row.status,
    amount: row.amount,
    currency: row.currency,
    url: row.url,
    description: row.description,
    expires_at: row.expiresAt?.toISOString() ?? null,
    payment_id: row.paymentId,
    metadata: row.metadata,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  }
}

/**
 * Inserts a link and its event together, and returns both. The page where payers pay is below
 * `publicUrl`.
 */
export async function insertPaymentLink(
  tx: Tx,
  publicUrl: string,
  values: NewPaymentLink,
  now: Date,
) {
  const id = newId('payment_link')
  const [link] = await tx
    .insert(paymentLinks)
    .values({ id, ...values, url: `${publicUrl}/pay/${id}`, ...timesOfNew(now) })
    .returning()
  if (!link) throw new Error('The payment link was not inserted')
  const { merchantId } = link
  const event = { type: 'payment_link.created' as const, merchantId, object: toPaymentLink(link) }
  return { link, deliveries: (await insertEvent(tx, event, now)).deliveries }
}

export const getPaymentLink = getterOf(paymentLinks, 'payment link')

/** Reads a link of any merchant, with the name of that merchant. Payers know only the link. */
export async function getPublicLink(db: Db, id: string) {
  const rows = await db
    .select({ link: paymentLinks, merchantName: merchants.name })
    .from(paymentLinks)
    .innerJoin(merchants, eq(merchants.id, paymentLinks.merchantId))
    .where(eq(paymentLinks.id, id))
  return firstRow(rows, 'payment link', id)
}

type Filter = Page & { status?: PaymentLinkStatus | undefined }

export function listPaymentLinks(
  db: Db,
  merchantId: string,
  { status, ...page }: Filter,
): Promise<List<PaymentLinkRow>> {
  return listRows(db, paymentLinks, merchantId, page, [equals(paymentLinks.status, status)])
}

/**
 * Locks a link for a new payment. If two payers pay at the same moment, the second one sees the
 * payment of the first. Throws AppError when the link can no longer be paid.
 */
export async function lockLinkToPay(tx: Tx, id: string, now: Date): Promise<PaymentLinkRow> {
  const theLink = eq(paymentLinks.id, id)
  const rows = await tx.select().from(paymentLinks).where(theLink).for('no key update')
  const link = firstRow(rows, 'payment link', id)
  checkActive(link, now)
  if (await findOpenCommand(tx, id, 'close')) throw notActive('canceled')
  return link
}

/**
 * Throws AppError when the link is not active. Callers use this for an early look: `lockLinkToPay`
 * decides under the lock whether the link can be paid.
 */
export function checkActive(link: PaymentLinkRow, now: Date): void {
  if (link.status !== 'active') throw notActive(link.status)
  if (isExpired(link, now)) throw notActive('expired')
}

export function isExpired({ expiresAt }: PaymentLinkRow, now: Date): boolean {
  return expiresAt !== null && expiresAt <= now
}

function notActive(status: PaymentLinkStatus): AppError {
  return new AppError('payment_link_not_active', `The payment link is ${status}.`)
}

/**
 * Inserts the command to cancel a link. Throws AppError when the link is not active, or has an open
 * command already.
 */
export async function openLinkCommand(
  tx: Tx,
  merchantId: string,
  id: string,
  { kind }: LinkCommand,
  now: Date,
): Promise<CommandRow> {
  await lockToCommand(tx, paymentLinks, { merchantId, id, kind })
  return insertCommand(tx, { merchantId, resourceId: id, kind, amount: null }, now)
}
