import { eq, inArray, sql } from 'drizzle-orm'
import type { Db, Tx } from './client.ts'
import { findDeliveries } from './deliveries.ts'
import { commands, payments } from './schema.ts'
import { deliveries } from './webhook-schema.ts'

export const sweptKinds = ['payments', 'deliveries'] as const
export type SweptKind = (typeof sweptKinds)[number]

const swept = {
  payments: { table: payments, open: sql`status in ('pending', 'authorized')` },
  deliveries: { table: deliveries, open: sql`status = 'pending'` },
}

/**
 * What no workflow has taken up in time, at most `limit` of each, for the sweep to start; and the
 * commands that no workflow has answered in time, with their payments.
 */
export function takeStranded(db: Db, now: Date, limit: number) {
  return db.transaction(async (tx) => {
    const paymentIds = await takeDue(tx, payments, now, limit)
    const deliveryIds = await takeDue(tx, deliveries, now, limit)
    const commandIds = await takeDue(tx, commands, now, limit)
    return {
      payments: await tx.select().from(payments).where(inArray(payments.id, paymentIds)),
      deliveries: await findDeliveries(tx, inArray(deliveries.id, deliveryIds)),
      commands: await tx
        .select({ command: commands, payment: payments })
        .from(commands)
        .innerJoin(payments, eq(payments.id, commands.resourceId))
        .where(inArray(commands.id, commandIds)),
    }
  })
}

/**
 * Rows that another sweep holds are skipped, not waited for. Each row then waits as long again as
 * it is old, up to an hour: its wait doubles, and what cannot start does not crowd out the rest.
 */
async function takeDue(
  tx: Tx,
  table: (typeof swept)[SweptKind]['table'] | typeof commands,
  now: Date,
  limit: number,
): Promise<string[]> {
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
