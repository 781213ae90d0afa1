import { and, eq, type SQL } from 'drizzle-orm'
import { AppError } from '../core/errors.ts'
import { type Moves, statusesBefore } from '../core/transitions.ts'
import type { Tx } from './client.ts'
import type { payouts, refunds } from './transfer-schema.ts'

type Moved = typeof refunds | typeof payouts
type Values<Row> = { [Name in keyof Row]?: Row[Name] | SQL }

/**
 * Locks a row and moves it, where its state machine has that move: null otherwise. `from` is what it
 * was, which says what has been booked so far. Throws AppError when there is no such row.
 */
export async function moveStatus<T extends Moved>(
  tx: Tx,
  table: T,
  moves: Moves<T['$inferSelect']['status']>,
  id: string,
  change: Values<T['$inferSelect']> & Pick<T['$inferSelect'], 'status'>,
): Promise<{ from: T['$inferSelect']['status']; row: T['$inferSelect'] } | null> {
  const anyTable: typeof payouts = table as never
  const theRow = eq(anyTable.id, id)
  const [before] = await tx
    .select({ status: anyTable.status })
    .from(anyTable)
    .where(theRow)
    .for('no key update')
  if (!before) throw new AppError('not_found', `No such object: ${id}`)
  const from = before.status as T['$inferSelect']['status']
  if (!statusesBefore(moves, change.status).includes(from)) return null
  const [row] = await tx
    .update(anyTable)
    .set(change as object)
    .where(and(theRow, eq(anyTable.status, before.status)))
    .returning()
  if (!row) throw new Error(`${id} was locked, and moved all the same`)
  return { from, row: row as T['$inferSelect'] }
}
