import { eq, inArray, type SQL, sql } from 'drizzle-orm'
import type { AnyPgColumn } from 'drizzle-orm/pg-core'
import type { News } from '../../core/lifecycles/news.ts'
import type { BalanceTransactionType } from '../../core/money/ledger.ts'
import type { Db } from '../client.ts'
import { balanceTransactions } from '../ledger/schema.ts'
import { payments } from '../payments/schema.ts'
import { payouts } from '../payouts/schema.ts'
import { refunds } from '../refunds/schema.ts'
import { providerNews } from './schema.ts'

type Table = typeof payments | typeof refunds | typeof payouts

/** What a provider can say that is not what we have recorded of something that has ended. */
const differing: { [O in News['object']]: { table: Table; verdicts: Record<string, SQL> } } = {
  payment: {
    table: payments,
    verdicts: { succeeded: sql`status in ('failed', 'canceled') and amount_captured = 0` },
  },
  refund: {
    table: refunds,
    verdicts: {
      succeeded: sql`status = 'failed'
        and ${notBooked(refunds.id, ['refund_settlement', 'late_refund'])}`,
      failed: sql`status = 'succeeded'`,
    },
  },
  payout: {
    table: payouts,
    verdicts: {
      completed: sql`status in ('failed', 'canceled')
        and ${notBooked(payouts.id, ['payout_settlement', 'late_payout'])}`,
      failed: sql`status = 'completed'`,
    },
  },
}

/** What came too late and is booked is news no more, although the status still says otherwise. */
function notBooked(id: AnyPgColumn, types: BalanceTransactionType[]): SQL {
  const { sourceId, type } = balanceTransactions
  const booked = sql`${sourceId} = ${id} and ${inArray(type, types)}`
  return sql`not exists (select from ${balanceTransactions} where ${booked})`
}

/**
 * Hands what has ended to the sweep where there is news of it: another run asks the provider once
 * more. Returns how many there were.
 */
export async function strandForNews(db: Db, news: News[], now: Date): Promise<number> {
  let found = 0
  for (const [object, { table, verdicts }] of Object.entries(differing)) {
    for (const [status, differs] of Object.entries(verdicts)) {
      const its = news.filter((one) => one.object === object && one.verdict.status === status)
      const ids = sql.param(its.map(({ id }) => id))
      const { rowCount } = await db.execute(sql`
        update ${table} set next_sweep_at = ${now.toISOString()}
        where id = any(${ids}::text[]) and next_sweep_at is null and ${differs}`)
      found += rowCount ?? 0
    }
  }
  return found
}

/** Until when a provider's news have been read; null: never. */
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
