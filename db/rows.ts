import { and, eq } from 'drizzle-orm'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'
import { AppError } from '../core/errors.ts'
import type { Db, Tx } from './client.ts'

/** A table whose rows belong to merchants. */
export type MerchantTable = PgTable & Record<'id' | 'merchantId', PgColumn>

/**
 * Makes the function that reads one row of a merchant by its id. That function never returns the
 * row of another merchant. It throws AppError when the merchant has no such row.
 */
export function getterOf<Table extends MerchantTable>(table: Table, noun: string) {
  return async (db: Db | Tx, merchantId: string, id: string): Promise<Table['$inferSelect']> => {
    const isOwnRow = and(eq(table.id, id), eq(table.merchantId, merchantId))
    const rows = await db
      .select()
      .from(table as PgTable)
      .where(isOwnRow)
    return firstRow(rows, noun, id)
  }
}

/**
 * Returns the first row. Throws AppError when there is no row: `noun` and `id` name the missing
 * row.
 */
export function firstRow<Row>([row]: Row[], noun: string, id: string): Row {
  if (row === undefined) throw new AppError('not_found', `No such ${noun}: ${id}`)
  return row
}
