import { and, eq, sql } from 'drizzle-orm'
import { AppError } from '../../core/errors.ts'
import {
  type InvoiceStatus,
  invoiceStatus,
  MAX_INVOICE_NUMBER,
} from '../../core/lifecycles/invoice.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { equals, listRows, type Page } from '../lists.ts'
import { firstRow, getterOf } from '../rows.ts'
import { insertEvent } from '../webhooks/events.ts'
import { invoices } from './schema.ts'

export type InvoiceRow = typeof invoices.$inferSelect
type NewInvoice = Pick<InvoiceRow, 'merchantId' | 'amount' | 'currency'> & { number: number | null }

/** Returns an invoice as the API and its events show it. */
export function toInvoice(row: InvoiceRow) {
  return {
    id: row.id,
    object: 'invoice' as const,
    number: row.number,
    status: row.status,
    amount: row.amount,
    currency: row.currency,
    amount_paid: row.amountPaid,
    amount_overpaid: Math.max(0, row.amountPaid - row.amount),
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  }
}

/**
 * Inserts an invoice and its event together. Without a `number`, the invoice gets the merchant's
 * next one.
 */
export async function insertInvoice(tx: Tx, { number, ...values }: NewInvoice, now: Date) {
  const { merchantId } = values
  await lockNumbers(tx, merchantId)
  const row = { id: newId('invoice'), ...values, createdAt: now, updatedAt: now }
  const [invoice] = await tx
    .insert(invoices)
    .values({ ...row, number: number ?? (await nextNumber(tx, merchantId)) })
    .onConflictDoNothing({ target: [invoices.merchantId, invoices.number] })
    .returning()
  if (!invoice) throw numberTaken(`There is an invoice with the number ${number} already.`)
  const event = { type: 'invoice.created' as const, merchantId, object: toInvoice(invoice) }
  return { invoice, event: await insertEvent(tx, event, now) }
}

/**
 * Locks the merchant's invoice numbers. No other transaction can number an invoice of this merchant
 * until this transaction ends.
 */
async function lockNumbers(tx: Tx, merchantId: string): Promise<void> {
  const key = JSON.stringify(['invoices.number', merchantId])
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${key}, 0))`)
}

async function nextNumber(tx: Tx, merchantId: string): Promise<number> {
  const [highest] = await tx
    .select({ number: sql<string | null>`max(${invoices.number})` })
    .from(invoices)
    .where(eq(invoices.merchantId, merchantId))
  const next = Number(highest?.number ?? 0) + 1
  if (next <= MAX_INVOICE_NUMBER) return next
  throw numberTaken('The highest number is taken, and none comes after it. Give one.')
}

function numberTaken(message: string): AppError {
  return new AppError('number_taken', message, { param: 'number' })
}

export const getInvoice = getterOf(invoices, 'invoice')

/** Finds an invoice by its id or by the merchant's own number. */
export async function findInvoice(db: Db | Tx, merchantId: string, idOrNumber: string | number) {
  const { id, number } = invoices
  const isIt = typeof idOrNumber === 'number' ? eq(number, idOrNumber) : eq(id, idOrNumber)
  const [row] = await db
    .select()
    .from(invoices)
    .where(and(isIt, eq(invoices.merchantId, merchantId)))
  return row
}

type Filter = Page & { status?: InvoiceStatus | undefined; number?: number | undefined }

export function listInvoices(db: Db, merchantId: string, { status, number, ...page }: Filter) {
  const filters = [equals(invoices.status, status), equals(invoices.number, number)]
  return listRows(db, invoices, merchantId, page, filters)
}

/**
 * Adds an amount that has come in. Any amount too much is kept and shown. The emitted event is null
 * if nothing was owed any more. The lock still lets other transactions insert rows that refer to
 * the invoice.
 */
export async function payInvoice(tx: Tx, id: string, amount: number, now: Date) {
  const isIt = eq(invoices.id, id)
  const rows = await tx.select().from(invoices).where(isIt).for('no key update')
  const before = firstRow(rows, 'invoice', id)
  const { merchantId, amount: owed } = before
  const amountPaid = before.amountPaid + amount
  const status = invoiceStatus(owed, amountPaid)
  const change = { amountPaid, status, updatedAt: now }
  await tx.update(invoices).set(change).where(isIt)
  const invoice = { ...before, ...change }
  if (before.status === 'paid') return { invoice, event: null }
  const type = status === 'paid' ? ('invoice.paid' as const) : ('invoice.partially_paid' as const)
  return {
    invoice,
    event: await insertEvent(tx, { type, merchantId, object: toInvoice(invoice) }, now),
  }
}
