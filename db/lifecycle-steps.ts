import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { AnyPgColumn } from 'drizzle-orm/pg-core'
import { AppError } from '../core/errors.ts'
import { statusesBefore } from '../core/lifecycles/transitions.ts'
import type { Db, Tx } from './client.ts'
import { isOpen, type LifecycleTable } from './lifecycle-table.ts'
import { lifecycleOf } from './lifecycle-tables.ts'

// The steps that several lifecycles take. A workflow knows its row, and so whose row it is.

type Row<T extends LifecycleTable> = T['$inferSelect']
type With<Column extends string> = LifecycleTable & Record<Column, AnyPgColumn>
type Transfer = With<'providerRef' | 'sendAttempt' | 'sentAt'>
type Cancelable = With<'cancelAttempt' | 'needsAttention'>
type Values<Of> = { [Name in keyof Of]?: Of[Name] | SQL }

/** Throws AppError when there is no such row. */
export async function findRow<T extends LifecycleTable>(
  db: Db | Tx,
  table: T,
  id: string,
): Promise<Row<T>> {
  const [row] = await db.select().from(anyTable(table)).where(eq(table.id, id))
  return found<T>(row, id)
}

/**
 * For the workflow's first activity, which also takes the row off the sweep. A row that has ended and
 * can have news of its provider stays in the sweep until `clearNews`: its workflow was started for them.
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

/** The provider's own id, which is never replaced: what was created first is what is settled. */
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

/** The number of the next attempt to cancel: a stored 5xx would replay for the key of an earlier one. */
export async function nextCancelAttempt(db: Db, table: Cancelable, id: string): Promise<number> {
  const next = { cancelAttempt: sql`${table.cancelAttempt} + 1` }
  const row: { cancelAttempt?: unknown } = await change(db, table, id, next)
  return Number(row.cancelAttempt)
}

/** For an operator to find: it waits for one, or something happened that should not. */
export async function markNeedsAttention(db: Db | Tx, table: Cancelable, id: string, now: Date) {
  await change(db, table, id, { needsAttention: true, updatedAt: now })
}

/**
 * Stores that attempt `number` to send it is about to be made, so that whoever comes after a crash
 * looks first. Throws when it is not the next one: somebody else has just sent it.
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

/** That attempt is on its way no more, and has done nothing. */
export async function unmarkSent(db: Db, table: Transfer, id: string, number: number) {
  await db
    .update(anyTable(table))
    .set({ sentAt: null })
    .where(and(eq(table.id, id), eq(table.sendAttempt, number)))
}

/**
 * Locks a row and moves it, if its lifecycle has that move; returns null otherwise. `from` is the
 * status before, which says what has been booked so far. Throws AppError when there is no such row.
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
 * Locks a merchant's row that is to take a command. Throws AppError when they have no such row, or when
 * its status takes no such command.
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

/** Drizzle types the queries of one table; what they return is `Row<T>` again by `found`. */
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
