import { and, eq, sql } from 'drizzle-orm'
import { AppError } from '../core/errors.ts'
import type { Db } from './client.ts'
import type { payments } from './schema.ts'
import type { payouts, refunds } from './transfer-schema.ts'

type Lifecycle = typeof payments | typeof refunds | typeof payouts

/** For the workflow's first activity, which also tells the sweep that the row needs no start. */
export async function takeUp<T extends Lifecycle>(
  db: Db,
  table: T,
  id: string,
): Promise<T['$inferSelect']> {
  return change(db, table, id, { nextSweepAt: null })
}

/** The provider's own id, which is never replaced: what was created first is what is settled. */
export async function setProviderRef<T extends Lifecycle>(
  db: Db,
  table: T,
  id: string,
  ref: string,
): Promise<T['$inferSelect']> {
  return change(db, table, id, { providerRef: sql`coalesce(${table.providerRef}, ${ref})` })
}

async function change<T extends Lifecycle>(db: Db, table: T, id: string, values: object) {
  const anyTable: typeof payments = table as never
  const [row] = await db.update(anyTable).set(values).where(eq(anyTable.id, id)).returning()
  if (!row) throw new AppError('not_found', `No such object: ${id}`)
  return row as T['$inferSelect']
}

/**
 * Stores that attempt `number` to send it is about to be made, so that whoever comes after a crash
 * looks first. Throws when it is not the next one: somebody else has just sent it.
 */
export async function markSent(
  db: Db,
  table: typeof refunds | typeof payouts,
  id: string,
  number: number,
  now: Date,
): Promise<void> {
  const anyTable: typeof payouts = table as never
  const next = and(eq(anyTable.status, 'pending'), eq(anyTable.sendAttempt, number - 1))
  const sent = await db
    .update(anyTable)
    .set({ sendAttempt: number, sentAt: now })
    .where(and(eq(anyTable.id, id), next))
    .returning({ id: anyTable.id })
  if (sent.length === 0) throw new Error(`Attempt ${number} to send ${id} was made already`)
}
