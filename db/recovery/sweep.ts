import { inArray, sql } from 'drizzle-orm'
import type { AnyPgColumn, PgTable } from 'drizzle-orm/pg-core'
import { type LifecycleName, lifecycles, sweepOrder } from '../../core/lifecycles/index.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import type { Db, Tx } from '../client.ts'
import { isOpen } from '../lifecycle-table.ts'
import { type LifecycleRow, lifecycleTables } from '../lifecycle-tables.ts'
import { commands } from '../requests/schema.ts'
import { findDeliveries } from '../webhooks/deliveries.ts'
import { deliveries } from '../webhooks/schema.ts'

/** The kinds of rows that have a workflow. */
export type SweptKind = LifecycleName | 'deliveries'

/**
 * The rows that stay open longest come last, because a pass over all of them may not get that far.
 */
const isBrief = (name: LifecycleName) => lifecycles[name].staysOpen === 'days'
export const sweptKinds: SweptKind[] = [
  ...sweepOrder.filter(isBrief),
  'deliveries',
  ...sweepOrder.filter((name) => !isBrief(name)),
]

type CommandRow = typeof commands.$inferSelect
type Lifecycles = { [Name in LifecycleName]: LifecycleRow<Name>[] }
type Stranded = Lifecycles & { deliveries: Delivery[]; commands: CommandRow[] }

/**
 * Returns the rows that no workflow has claimed in time, at most `limit` of each kind, for the
 * sweep to start. Also returns the commands that no workflow has answered in time, and the rows
 * that these commands are for.
 */
export function takeStranded(db: Db, now: Date, limit: number): Promise<Stranded> {
  return db.transaction(async (tx) => {
    const take = (table: Swept) => takeDue(tx, table, now, limit)
    const due = inArray(commands.id, await take(commands))
    const stranded = { commands: await tx.select().from(commands).where(due) } as Stranded
    const commanded = stranded.commands.map(({ resourceId }) => resourceId)
    for (const name of sweepOrder) {
      const table: Swept = lifecycleTables[name]
      const isDue = inArray(table.id, [...(await take(table)), ...commanded])
      Object.assign(stranded, { [name]: await tx.select().from(table).where(isDue) })
    }
    const isDue = inArray(deliveries.id, await take(deliveries))
    return { ...stranded, deliveries: await findDeliveries(tx, isDue) }
  })
}

type Swept = PgTable & Record<'id' | 'status', AnyPgColumn>

/**
 * Takes the rows that are due. Rows that another sweep has locked are skipped, not waited for. Each
 * row then waits as long as it is old, up to an hour. So the wait doubles each time, and rows that
 * cannot start do not crowd out the rest.
 */
async function takeDue(tx: Tx, table: Swept, now: Date, limit: number): Promise<string[]> {
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
 * Returns the table of a kind, and the condition for its open rows, worded like the table's open
 * index.
 */
function openRowsOf(kind: SweptKind) {
  if (kind === 'deliveries') return { table: deliveries, open: sql`status = 'pending'` }
  const table: Swept = lifecycleTables[kind]
  return { table, open: sql`(${isOpen(lifecycles[kind], table)})` }
}

/**
 * Returns the ids of open rows that a workflow has claimed, and that are old enough for the
 * workflow to have done something since. The ids are sorted: at most `limit` ids after `after`.
 */
export async function findTakenUp(
  db: Db,
  kind: SweptKind,
  page: { after: string; before: Date; limit: number },
): Promise<string[]> {
  const { table, open } = openRowsOf(kind)
  const { rows } = await db.execute<{ id: string }>(sql`
    select id from ${table}
    where ${open} and next_sweep_at is null
      and created_at < ${page.before.toISOString()} and id > ${page.after}
    order by id limit ${page.limit}`)
  return rows.map(({ id }) => id)
}

/** Requeues rows, unless they have been settled or requeued since. */
export async function strand(db: Db, kind: SweptKind, ids: string[], now: Date): Promise<void> {
  if (ids.length === 0) return
  const { table, open } = openRowsOf(kind)
  await db.execute(sql`
    update ${table} set next_sweep_at = ${now.toISOString()}
    where ${inArray(table.id, ids)} and ${open} and next_sweep_at is null`)
}
