import { eq, inArray, type SQL, sql } from 'drizzle-orm'
import { lifecycleNames, lifecycles } from '../../core/lifecycles/index.ts'
import type { News } from '../../core/lifecycles/news.ts'
import type { BalanceTransactionType } from '../../core/money/ledger.ts'
import type { Db } from '../client.ts'
import { oneOf } from '../columns.ts'
import { balanceTransactions } from '../ledger/schema.ts'
import type { LifecycleTable } from '../lifecycle-table.ts'
import { lifecycleTables } from '../lifecycle-tables.ts'
import { providerNews } from './schema.ts'

/**
 * Requeues rows that have ended if `news` has a late verdict for them: another run of the workflow
 * then asks the provider again. Returns the number of requeued rows.
 */
export async function strandForNews(db: Db, news: News[], now: Date): Promise<number> {
  let found = 0
  for (const name of lifecycleNames) {
    const lifecycle = lifecycles[name]
    if (!('late' in lifecycle)) continue
    const table: LifecycleTable = lifecycleTables[name]
    for (const [status, late] of Object.entries(lifecycle.late)) {
      if (!late) continue
      const its = news.filter(
        (one) => one.object === lifecycle.object && one.verdict.status === status,
      )
      const ids = sql.param(its.map(({ id }) => id))
      const { rowCount } = await db.execute(sql`
        update ${table} set next_sweep_at = ${now.toISOString()}
        where id = any(${ids}::text[]) and next_sweep_at is null
          and ${oneOf(table.status, late.after)} and ${notBooked(table, late.booked)}`)
      found += rowCount ?? 0
    }
  }
  return found
}

/**
 * A late verdict that is booked is no longer news, although the status of the row still says
 * otherwise.
 */
function notBooked({ id }: LifecycleTable, types: readonly BalanceTransactionType[]): SQL {
  const { sourceId, type } = balanceTransactions
  const booked = sql`${sourceId} = ${id} and ${inArray(type, [...types])}`
  return sql`not exists (select from ${balanceTransactions} where ${booked})`
}

/**
 * Returns the time up to which a provider's news has been read, or null if the news was never read.
 */
export async function newsReadUntil(db: Db, provider: string): Promise<Date | null> {
  const [row] = await db.select().from(providerNews).where(eq(providerNews.provider, provider))
  return row?.readUntil ?? null
}

export async function markNewsRead(db: Db, provider: string, readUntil: Date): Promise<void> {
  await db
    .insert(providerNews)
    .values({ provider, readUntil })
    .onConflictDoUpdate({ target: providerNews.provider, set: { readUntil } })
}
