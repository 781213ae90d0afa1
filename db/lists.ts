import { and, eq, gt, lt, type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import { AppError } from '../core/errors.ts'
import type { Db } from './client.ts'
import type { invoices } from './invoices/schema.ts'
import type { balanceTransactions } from './ledger/schema.ts'
import type { apiKeys } from './merchants/schema.ts'
import type { orders, paymentLinks, payments } from './payments/schema.ts'
import type { payouts } from './payouts/schema.ts'
import type { refunds } from './refunds/schema.ts'
import type { deliveries, endpoints, events } from './webhooks/schema.ts'

export type Page = {
  limit: number
  startingAfter?: string | undefined
  createdAfter?: Date | undefined
  createdBefore?: Date | undefined
}

type Listed =
  | typeof payments
  | typeof orders
  | typeof paymentLinks
  | typeof invoices
  | typeof events
  | typeof endpoints
  | typeof deliveries
  | typeof apiKeys
  | typeof refunds
  | typeof payouts
  | typeof balanceTransactions

/** `data` is newest first. */
export type List<T> = { data: T[]; hasMore: boolean }

/** A condition, or none where there is nothing to filter by. */
export function equals<T>(column: PgColumn, value: T | undefined): SQL | undefined {
  return value === undefined ? undefined : eq(column, value)
}

/** One page of a merchant's rows. Throws AppError on a cursor that names no row of theirs. */
export async function listRows<T extends Listed>(
  db: Db,
  table: T,
  merchantId: string,
  page: Page,
  filters: (SQL | undefined)[],
): Promise<List<T['$inferSelect']>> {
  const { where, orderBy, limit } = await pageOf(db, table, merchantId, page, filters)
  const rows = await db
    .select()
    .from(table as typeof payments)
    .where(where)
    .orderBy(...orderBy)
    .limit(limit)
  return toList(rows as T['$inferSelect'][], page)
}

/** For a list that joins. It takes one row more than the page holds, which tells if there are more. */
export async function pageOf(
  db: Db,
  table: Listed,
  merchantId: string,
  page: Page,
  filters: (SQL | undefined)[],
) {
  const { id, createdAt } = table
  const conditions = [
    eq(table.merchantId, merchantId),
    ...filters,
    page.createdAfter && gt(createdAt, page.createdAfter),
    page.createdBefore && lt(createdAt, page.createdBefore),
  ]
  if (page.startingAfter) {
    const at = await findCursor(db, table, merchantId, page.startingAfter)
    conditions.push(sql`(${createdAt}, ${id}) < (${at.toISOString()}, ${page.startingAfter})`)
  }
  const orderBy = [descending(createdAt), descending(id)] as const
  return { where: and(...conditions), orderBy, limit: page.limit + 1 }
}

export function toList<T>(rows: T[], { limit }: Page): List<T> {
  return { data: rows.slice(0, limit), hasMore: rows.length > limit }
}

async function findCursor(db: Db, table: Listed, merchantId: string, cursor: string) {
  const [row] = await db
    .select({ createdAt: table.createdAt })
    .from(table as typeof payments)
    .where(and(eq(table.id, cursor), eq(table.merchantId, merchantId)))
  if (row) return row.createdAt
  throw new AppError('invalid_request', `No such object: ${cursor}`, { param: 'starting_after' })
}

/** As drizzle declares the indexes: without the same `nulls last` Postgres would sort each list. */
function descending(column: PgColumn): SQL {
  return sql`${column} desc nulls last`
}
