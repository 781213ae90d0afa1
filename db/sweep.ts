import { eq, inArray, type SQL, sql } from 'drizzle-orm'
import type { AnyPgColumn } from 'drizzle-orm/pg-core'
import type { BalanceTransactionType } from '../core/ledger.ts'
import type { News } from '../providers/provider.ts'
import type { Db, Tx } from './client.ts'
import { findDeliveries } from './deliveries.ts'
import { balanceTransactions } from './ledger-schema.ts'
import { commands, payments } from './schema.ts'
import { payouts, providerNews, refunds } from './transfer-schema.ts'
import { deliveries } from './webhook-schema.ts'

export const sweptKinds = ['payments', 'refunds', 'payouts', 'deliveries'] as const
export type SweptKind = (typeof sweptKinds)[number]

const swept = {
  payments: { table: payments, open: sql`status in ('pending', 'authorized')` },
  refunds: { table: refunds, open: sql`status = 'pending'` },
  payouts: { table: payouts, open: sql`status in ('pending', 'processing')` },
  deliveries: { table: deliveries, open: sql`status = 'pending'` },
}

/**
 * What no workflow has taken up in time, at most `limit` of each, for the sweep to start; and the
 * commands that no workflow has answered in time, with what they are of.
 */
export function takeStranded(db: Db, now: Date, limit: number) {
  return db.transaction(async (tx) => {
    const take = (table: Due) => takeDue(tx, table, now, limit)
    const commandIds = await take(commands)
    const told = await tx.select().from(commands).where(inArray(commands.id, commandIds))
    const resources = told.map(({ resourceId }) => resourceId)
    const paymentIds = [...(await take(payments)), ...resources]
    const payoutIds = [...(await take(payouts)), ...resources]
    return {
      payments: await tx.select().from(payments).where(inArray(payments.id, paymentIds)),
      refunds: await tx
        .select()
        .from(refunds)
        .where(inArray(refunds.id, await take(refunds))),
      payouts: await tx.select().from(payouts).where(inArray(payouts.id, payoutIds)),
      deliveries: await findDeliveries(tx, inArray(deliveries.id, await take(deliveries))),
      commands: told,
    }
  })
}

type Due = (typeof swept)[SweptKind]['table'] | typeof commands

/**
 * Rows that another sweep holds are skipped, not waited for. Each row then waits as long again as
 * it is old, up to an hour: its wait doubles, and what cannot start does not crowd out the rest.
 */
async function takeDue(tx: Tx, table: Due, now: Date, limit: number): Promise<string[]> {
  const at = sql`${now.toISOString()}::timestamptz`
  const { rows } = await tx.execute<{ id: string }>(sql`
    with due as (
      select id, least(${at} - created_at, interval '1 hour') as wait
      from ${table} where next_sweep_at <= ${at}
      order by next_sweep_at limit ${limit} for update skip locked
    )
    update ${table} set next_sweep_at = ${at} + due.wait
    from due where ${table}.id = due.id returning due.id`)
  return rows.map(({ id }) => id)
}

/**
 * Ids of rows that are open, were taken up by a workflow, and are old enough for it to have done
 * something since; in the order of their ids, `limit` of them after `after`.
 */
export async function findTakenUp(
  db: Db,
  kind: SweptKind,
  page: { after: string; before: Date; limit: number },
): Promise<string[]> {
  const { table, open } = swept[kind]
  const { rows } = await db.execute<{ id: string }>(sql`
    select id from ${table}
    where ${open} and next_sweep_at is null
      and created_at < ${page.before.toISOString()} and id > ${page.after}
    order by id limit ${page.limit}`)
  return rows.map(({ id }) => id)
}

/** Hands rows to the sweep, unless they have been settled or handed to it since. */
export async function strand(db: Db, kind: SweptKind, ids: string[], now: Date): Promise<void> {
  if (ids.length === 0) return
  const { table, open } = swept[kind]
  await db.execute(sql`
    update ${table} set next_sweep_at = ${now.toISOString()}
    where ${inArray(table.id, ids)} and ${open} and next_sweep_at is null`)
}

/** What a provider can say that is not what we have recorded of something that has ended. */
const news: { [O in News['object']]: { table: Due; differs: (status: string) => SQL } } = {
  payment: {
    table: payments,
    differs: (status) =>
      sql`${status} = 'succeeded' and status in ('failed', 'canceled') and amount_captured = 0`,
  },
  refund: {
    table: refunds,
    differs: (status) => sql`
      (${status} = 'failed' and status = 'succeeded')
      or (${status} = 'succeeded' and status = 'failed' and ${notBooked(refunds.id, ['refund_settlement', 'late_refund'])})`,
  },
  payout: {
    table: payouts,
    differs: (status) => sql`
      (${status} = 'failed' and status = 'completed')
      or (${status} = 'completed' and status in ('failed', 'canceled')
        and ${notBooked(payouts.id, ['payout_settlement', 'late_payout'])})`,
  },
}

/** What came too late and is booked is news no more, although the status still says otherwise. */
function notBooked(id: AnyPgColumn, types: BalanceTransactionType[]): SQL {
  const { sourceId, type } = balanceTransactions
  const booked = sql`${sourceId} = ${id} and ${inArray(type, types)}`
  return sql`not exists (select from ${balanceTransactions} where ${booked})`
}

/**
 * Hands something that has ended to the sweep, because there is news of it: another run asks the
 * provider once more. Returns whether it was news.
 */
export async function strandForNews(db: Db, told: News, now: Date): Promise<boolean> {
  const { table, differs } = news[told.object]
  const { rowCount } = await db.execute(sql`
    update ${table} set next_sweep_at = ${now.toISOString()}
    where id = ${told.id} and next_sweep_at is null and (${differs(told.verdict.status)})`)
  return (rowCount ?? 0) > 0
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
