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

/** What has a workflow of its own. */
export type SweptKind = LifecycleName | 'deliveries'

/** The rows that stay open longest come last, because a pass over all of them may not get that far. */
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
 * What no workflow has claimed in time, at most `limit` of each, for the sweep to start; and the
 * commands that no workflow has answered in time, with the rows that they are for.
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
 * Rows that another sweep holds are skipped, not waited for. Each row then waits as long again as
 * it is old, up to an hour: its wait doubles, and what cannot start does not crowd out the rest.
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

/** The table of a kind, and its open rows in the words of its open index. */
function openRowsOf(kind: SweptKind) {
  if (kind === 'deliveries') return { table: deliveries, open: sql`status = 'pending'` }
  const table: Swept = lifecycleTables[kind]
  return { table, open: sql`(${isOpen(lifecycles[kind], table)})` }
}

/**
 * Ids of rows that are open, were claimed by a workflow, and are old enough for it to have done
 * something since; in the order of their ids, `limit` of them after `after`.
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

/** Hands rows to the sweep, unless they have been settled or handed to it since. */
export async function strand(db: Db, kind: SweptKind, ids: string[], now: Date): Promise<void> {
  if (ids.length === 0) return
  const { table, open } = openRowsOf(kind)
  await db.execute(sql`
    update ${table} set next_sweep_at = ${now.toISOString()}
    where ${inArray(table.id, ids)} and ${open} and next_sweep_at is null`)
}
