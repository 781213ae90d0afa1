import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { AnyPgColumn } from 'drizzle-orm/pg-core'
import { AppError } from '../core/errors.ts'
import { statusesBefore } from '../core/lifecycles/transitions.ts'
import type { Db, Tx } from './client.ts'
import { isOpen, type LifecycleTable } from './lifecycle-table.ts'
import { lifecycleOf } from './lifecycle-tables.ts'

// Several lifecycles share these steps. A workflow knows the id of its row, so most steps need no
// merchant id.

type Row<T extends LifecycleTable> = T['$inferSelect']
type With<Column extends string> = LifecycleTable & Record<Column, AnyPgColumn>
type Transfer = With<'providerRef' | 'sendAttempt' | 'sentAt'>
type Cancelable = With<'cancelAttempt' | 'needsAttention'>
type Values<Of> = { [Name in keyof Of]?: Of[Name] | SQL }

/** Reads the row with this id. Throws AppError when there is no such row. */
export async function findRow<T extends LifecycleTable>(
  db: Db | Tx,
  table: T,
  id: string,
): Promise<Row<T>> {
  const [row] = await db.select().from(anyTable(table)).where(eq(table.id, id))
  return found<T>(row, id)
}

/**
 * Claims a row for the first activity of its workflow: the row leaves the sweep. A row that has
 * ended and whose provider sends verdicts stays in the sweep until `clearNews`, because its
 * workflow was started for news.
 */
export function claimRow<T extends LifecycleTable>(db: Db, table: T, id: string): Promise<Row<T>> {
  const lifecycle = lifecycleOf(table)
  if (!('verdicts' in lifecycle)) return change(db, table, id, { nextSweepAt: null })
  const nextSweepAt = sql`case when not (${isOpen(lifecycle, table)}) then ${table.nextSweepAt} end`
  return change(db, table, id, { nextSweepAt })
}

export async function clearNews(db: Db, table: LifecycleTable, id: string): Promise<void> {
  await change(db, table, id, { nextSweepAt: null })
}

/**
 * Stores the provider's own id, unless the row has an id already. The charge or transfer that was
 * created first is the one that gets settled.
 */
export function setProviderRef<T extends With<'providerRef'>>(
  db: Db,
  table: T,
  id: string,
  ref: string,
) {
  return change(db, table, id, { providerRef: firstRef(table, ref) })
}

export function firstRef(table: With<'providerRef'>, ref: string | null): SQL<string> {
  return sql`coalesce(${table.providerRef}, ${ref})`
}

/**
 * Counts up the attempts to cancel, and returns the new number. The number makes a new idempotency
 * key, because the provider would replay a stored 5xx for an earlier key.
 */
export async function nextCancelAttempt(db: Db, table: Cancelable, id: string): Promise<number> {
  const next = { cancelAttempt: sql`${table.cancelAttempt} + 1` }
  const row: { cancelAttempt?: unknown } = await change(db, table, id, next)
  return Number(row.cancelAttempt)
}

/**
 * Marks a row so that an operator finds it: the row waits for an operator, or something happened
 * that should not.
 */
export async function markNeedsAttention(db: Db | Tx, table: Cancelable, id: string, now: Date) {
  await change(db, table, id, { needsAttention: true, updatedAt: now })
}

/**
 * Records that attempt `number` to send the transfer is about to start. A worker that continues
 * after a crash then looks the transfer up before it sends again. Throws when `number` is not the
 * next one, because another worker has just sent that attempt.
 */
export async function markSent(
  db: Db,
  table: Transfer,
  id: string,
  number: number,
  now: Date,
): Promise<void> {
  const sent = await db
    .update(anyTable(table))
    .set({ sendAttempt: number, sentAt: now })
    .where(and(eq(table.id, id), eq(table.status, 'pending'), eq(table.sendAttempt, number - 1)))
    .returning({ id: table.id })
  if (sent.length === 0) throw new Error(`Attempt ${number} to send ${id} was made already`)
}

/** Records that attempt `number` is no longer on its way and has had no effect. */
export async function unmarkSent(db: Db, table: Transfer, id: string, number: number) {
  await db
    .update(anyTable(table))
    .set({ sentAt: null })
    .where(and(eq(table.id, id), eq(table.sendAttempt, number)))
}

/**
 * Locks a row and moves it to `to.status`. Returns null if the lifecycle does not have that move.
 * `from` is the status before the move, which shows what has been booked so far. Throws AppError
 * when there is no such row.
 */
export async function moveStatus<T extends LifecycleTable>(
  tx: Tx,
  table: T,
  id: string,
  to: Values<Row<T>> & { status: Row<T>['status'] },
): Promise<{ from: Row<T>['status']; row: Row<T> } | null> {
  const theRow = eq(table.id, id)
  const [before] = await tx
    .select({ status: table.status })
    .from(anyTable(table))
    .where(theRow)
    .for('no key update')
  if (!before) throw noSuchRow(id)
  const from = before.status as Row<T>['status'] & string
  if (!statusesBefore(lifecycleOf(table).moves, `${to.status}`).includes(from)) return null
  const [row] = await tx.update(anyTable(table)).set(to).where(theRow).returning()
  return { from, row: found<T>(row, id) }
}

/**
 * Locks a merchant's row for a new command. Throws AppError when the merchant has no such row, or
 * when the status of the row does not allow the command.
 */
export async function lockToCommand<T extends LifecycleTable>(
  tx: Tx,
  table: T,
  { merchantId, id, kind }: { merchantId: string; id: string; kind: string },
): Promise<Row<T>> {
  const { object, commands } = lifecycleOf(table)
  const noun = object.replaceAll('_', ' ')
  const theirs = and(eq(table.id, id), eq(table.merchantId, merchantId))
  const [row] = await tx.select().from(anyTable(table)).where(theirs).for('no key update')
  if (!row) throw new AppError('not_found', `No such ${noun}: ${id}`)
  const command = commands[kind]
  if (!command) throw new Error(`A ${noun} has no command ${kind}`)
  const { status } = row as { status: string }
  if (command.from.includes(status)) return found<T>(row, id)
  const article = /^[aeiou]/.test(noun) ? 'An' : 'A'
  throw new AppError('conflict', `${article} ${noun} that is ${status} can't be ${command.done}.`)
}

async function change<T extends LifecycleTable>(db: Db | Tx, table: T, id: string, values: object) {
  const [row] = await db.update(anyTable(table)).set(values).where(eq(table.id, id)).returning()
  return found<T>(row, id)
}

/**
 * Widens the type of a table, because Drizzle types the queries of one table only. `found` narrows
 * the rows of such queries to `Row<T>` again.
 */
function anyTable(table: LifecycleTable): LifecycleTable {
  return table
}

function found<T extends LifecycleTable>(row: unknown, id: string): Row<T> {
  if (!row) throw noSuchRow(id)
  return row as Row<T>
}

function noSuchRow(id: string): AppError {
  return new AppError('not_found', `No such object: ${id}`)
}
