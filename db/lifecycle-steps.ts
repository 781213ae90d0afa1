import { and, eq, type SQL, sql } from 'drizzle-orm'
import { AppError } from '../core/errors.ts'
import { type Moves, statusesBefore } from '../core/lifecycles/transitions.ts'
import type { Db, Tx } from './client.ts'
import type { orders, paymentLinks, payments } from './payments/schema.ts'
import type { payouts } from './payouts/schema.ts'
import type { refunds } from './refunds/schema.ts'

// The steps that the workflows of several tables take. Each knows its row, and so whose it is.

type Transfer = typeof refunds | typeof payouts
type Cancelable = typeof payments | typeof payouts
type Lifecycle = typeof payments | Transfer
type Payable = typeof orders | typeof paymentLinks
type Row<T extends Lifecycle | Payable> = T['$inferSelect']
type Values<Of> = { [Name in keyof Of]?: Of[Name] | SQL }

/** Throws AppError when there is no such row. */
export async function findRow<T extends Lifecycle | Payable>(db: Db | Tx, table: T, id: string) {
  const anyTable: typeof payments = table as never
  const [row] = await db.select().from(anyTable).where(eq(anyTable.id, id))
  return found<T>(row, id)
}

/**
 * For the workflow's first activity, which also tells the sweep that the row needs no start. One that
 * has ended was started for news: it stays in the sweep until these have been heard.
 */
export function takeUp<T extends Lifecycle>(db: Db, table: T, id: string): Promise<Row<T>> {
  const isOpen = sql`${table.status} in ('pending', 'authorized', 'processing')`
  const nextSweepAt = sql`case when not ${isOpen} then ${table.nextSweepAt} end`
  return change(db, table, id, { nextSweepAt })
}

/** As `takeUp`, of what no provider has news of: once it has ended there is nothing left to do. */
export function takeUpPayable<T extends Payable>(db: Db, table: T, id: string): Promise<Row<T>> {
  return change(db, table, id, { nextSweepAt: null })
}

export async function markHeard(db: Db, table: Lifecycle, id: string): Promise<void> {
  await change(db, table, id, { nextSweepAt: null })
}

/** The provider's own id, which is never replaced: what was created first is what is settled. */
export function setProviderRef<T extends Lifecycle>(db: Db, table: T, id: string, ref: string) {
  return change(db, table, id, { providerRef: firstRef(table, ref) })
}

export function firstRef(table: Lifecycle, ref: string | null): SQL<string> {
  return sql`coalesce(${table.providerRef}, ${ref})`
}

/** The number of the next attempt to cancel: a stored 5xx would replay for the key of an earlier one. */
export async function nextCancelAttempt(db: Db, table: Cancelable, id: string): Promise<number> {
  const next = { cancelAttempt: sql`${table.cancelAttempt} + 1` }
  return (await change(db, table, id, next)).cancelAttempt
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
  const anyTable: typeof payouts = table as never
  const next = and(eq(anyTable.status, 'pending'), eq(anyTable.sendAttempt, number - 1))
  const sent = await db
    .update(anyTable)
    .set({ sendAttempt: number, sentAt: now })
    .where(and(eq(anyTable.id, id), next))
    .returning({ id: anyTable.id })
  if (sent.length === 0) throw new Error(`Attempt ${number} to send ${id} was made already`)
}

/** That attempt is on its way no more, and has done nothing. */
export async function unmarkSent(db: Db, table: Transfer, id: string, number: number) {
  const anyTable: typeof payouts = table as never
  await db
    .update(anyTable)
    .set({ sentAt: null })
    .where(and(eq(anyTable.id, id), eq(anyTable.sendAttempt, number)))
}

/**
 * Locks a row and moves it, where its state machine has that move: null otherwise. `from` is what it
 * was, which says what has been booked so far. Throws AppError when there is no such row.
 */
export async function moveStatus<T extends Transfer>(
  tx: Tx,
  table: T,
  moves: Moves<Row<T>['status']>,
  id: string,
  to: Values<Row<T>> & Pick<Row<T>, 'status'>,
): Promise<{ from: Row<T>['status']; row: Row<T> } | null> {
  const anyTable: typeof payouts = table as never
  const theRow = eq(anyTable.id, id)
  const [before] = await tx
    .select({ status: anyTable.status })
    .from(anyTable)
    .where(theRow)
    .for('no key update')
  if (!before) throw noSuchRow(id)
  const from = before.status as Row<T>['status']
  if (!statusesBefore(moves, to.status).includes(from)) return null
  const [row] = await tx
    .update(anyTable)
    .set(to as object)
    .where(and(theRow, eq(anyTable.status, before.status)))
    .returning()
  return { from, row: found<T>(row, id) }
}

type Commanded = { merchantId: string; id: string; noun: string }

/**
 * Locks a merchant's row that is to take a command. Throws AppError when they have no such row, or when
 * it is in none of the statuses `from` which it can be `done`.
 */
export async function lockToCommand<T extends Lifecycle | Payable>(
  tx: Tx,
  table: T,
  { merchantId, id, noun }: Commanded,
  { from, done }: { from: readonly Row<T>['status'][]; done: string },
): Promise<Row<T>> {
  const anyTable: typeof payments = table as never
  const theirs = and(eq(anyTable.id, id), eq(anyTable.merchantId, merchantId))
  const [row] = await tx.select().from(anyTable).where(theirs).for('no key update')
  if (!row) throw new AppError('not_found', `No such ${noun}: ${id}`)
  if ((from as readonly string[]).includes(row.status)) return found<T>(row, id)
  const article = /^[aeiou]/.test(noun) ? 'An' : 'A'
  throw new AppError('conflict', `${article} ${noun} that is ${row.status} can't be ${done}.`)
}

async function change<T extends Lifecycle | Payable>(
  db: Db | Tx,
  table: T,
  id: string,
  values: object,
) {
  const anyTable: typeof payments = table as never
  const [row] = await db.update(anyTable).set(values).where(eq(anyTable.id, id)).returning()
  return found<T>(row, id)
}

function found<T extends Lifecycle | Payable>(row: unknown, id: string): Row<T> {
  if (!row) throw noSuchRow(id)
  return row as Row<T>
}

function noSuchRow(id: string): AppError {
  return new AppError('not_found', `No such object: ${id}`)
}
