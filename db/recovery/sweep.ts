import { inArray, sql } from 'drizzle-orm'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import type { Db, Tx } from '../client.ts'
import { inboundEvents } from '../invoices/schema.ts'
import { orders, paymentLinks, payments } from '../payments/schema.ts'
import { payouts } from '../payouts/schema.ts'
import { refunds } from '../refunds/schema.ts'
import { commands } from '../requests/schema.ts'
import { findDeliveries } from '../webhooks/deliveries.ts'
import { deliveries } from '../webhooks/schema.ts'

/** Those that wait longest come last: whoever goes through all of them may not get that far. */
const swept = {
  payments: { table: payments, open: sql`status in ('pending', 'authorized')` },
  refunds: { table: refunds, open: sql`status = 'pending'` },
  payouts: { table: payouts, open: sql`status in ('pending', 'processing')` },
  inboundEvents: { table: inboundEvents, open: sql`status = 'pending'` },
  deliveries: { table: deliveries, open: sql`status = 'pending'` },
  orders: { table: orders, open: sql`(status in ('created', 'paid') or is_compensating)` },
  paymentLinks: { table: paymentLinks, open: sql`status = 'active'` },
}
export type SweptKind = keyof typeof swept
export const sweptKinds = Object.keys(swept) as SweptKind[]

/** What has a workflow of its own. All but inbound events can be commanded. */
export type LifecycleKind = Exclude<SweptKind, 'deliveries'>
export const lifecycleKinds = sweptKinds.filter((kind) => kind !== 'deliveries')

type Lifecycles = { [K in LifecycleKind]: (typeof swept)[K]['table']['$inferSelect'][] }
type CommandRow = typeof commands.$inferSelect
export type Stranded = Lifecycles & { deliveries: Delivery[]; commands: CommandRow[] }

/**
 * What no workflow has taken up in time, at most `limit` of each, for the sweep to start; and the
 * commands that no workflow has answered in time, with what they are of.
 */
export function takeStranded(db: Db, now: Date, limit: number): Promise<Stranded> {
  return db.transaction(async (tx) => {
    const take = (table: Due) => takeDue(tx, table, now, limit)
    const told = inArray(commands.id, await take(commands))
    const stranded = { commands: await tx.select().from(commands).where(told) } as Stranded
    const commanded = stranded.commands.map(({ resourceId }) => resourceId)
    for (const kind of lifecycleKinds) {
      const table = swept[kind].table as Due as typeof payments
      const ids = await take(table)
      if (kind !== 'inboundEvents') ids.push(...commanded)
      const rows = await tx.select().from(table).where(inArray(table.id, ids))
      Object.assign(stranded, { [kind]: rows })
    }
    const due = inArray(deliveries.id, await take(deliveries))
    return { ...stranded, deliveries: await findDeliveries(tx, due) }
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
