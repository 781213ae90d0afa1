import { and, eq, gt, lt, type SQL, sql } from 'drizzle-orm'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'
import { AppError } from '../core/errors.ts'
import type { Db } from './client.ts'
import type { MerchantTable } from './rows.ts'

export type Page = {
  limit: number
  startingAfter?: string | undefined
  createdAfter?: Date | undefined
  createdBefore?: Date | undefined
}

type ListedTable = MerchantTable & Record<'createdAt', PgColumn>

/** `data` is newest first. */
export type List<T> = { data: T[]; hasMore: boolean }

/** Returns the condition of a filter. Returns undefined if the request does not have the filter. */
export function equals<T>(column: PgColumn, value: T | undefined): SQL | undefined {
  return value === undefined ? undefined : eq(column, value)
}

/**
 * Reads one page of a merchant's rows. Throws AppError when the cursor names no row of the
 * merchant.
 */
export async function listRows<Table extends ListedTable>(
  db: Db,
  table: Table,
  merchantId: string,
  page: Page,
  filters: (SQL | undefined)[],
): Promise<List<Table['$inferSelect']>> {
  const { where, orderBy, limit } = await pageOf(db, table, merchantId, page, filters)
  const rows = await db
    .select()
    .from(table as PgTable)
    .where(where)
    .orderBy(...orderBy)
    .limit(limit)
  return toList(rows as Table['$inferSelect'][], page)
}

/**
 * Returns the parts of a list's query. Its limit is one row above the page: that row means
 * `hasMore`.
 */
export async function pageOf(
  db: Db,
  table: ListedTable,
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

async function findCursor(db: Db, table: ListedTable, merchantId: string, cursor: string) {
  const [row] = await db
    .select({ createdAt: table.createdAt })
    .from(table as PgTable)
    .where(and(eq(table.id, cursor), eq(table.merchantId, merchantId)))
  if (row) return row.createdAt as Date
  throw new AppError('invalid_request', `No such object: ${cursor}`, { param: 'starting_after' })
}

/**
 * Postgres uses an index for a list only if both have the same `nulls last`, which drizzle writes.
 */
function descending(column: PgColumn): SQL {
  return sql`${column} desc nulls last`
}
