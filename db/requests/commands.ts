import { and, eq, sql } from 'drizzle-orm'
import { AppError } from '../../core/errors.ts'
import type { CommandKind } from '../../core/lifecycles/command.ts'
import { timesOfNew } from '../../core/lifecycles/sweep.ts'
import type { Db, Tx } from '../client.ts'
import { newId } from '../ids.ts'
import { commands } from './schema.ts'

export type CommandRow = typeof commands.$inferSelect
type NewCommand = Pick<CommandRow, 'merchantId' | 'resourceId' | 'kind' | 'amount'>

/**
 * Opens a command on a resource. The caller has locked the resource, and has checked that its
 * status allows the command. Throws AppError when another command is open.
 */
export async function insertCommand(tx: Tx, values: NewCommand, now: Date): Promise<CommandRow> {
  const [command] = await tx
    .insert(commands)
    .values({ id: newId('command'), ...values, ...timesOfNew(now) })
    .onConflictDoNothing({ target: commands.resourceId, where: sql`status = 'open'` })
    .returning()
  if (command) return command
  throw new AppError('conflict', 'Another command on it is in progress.')
}

export async function findCommand(db: Db | Tx, id: string): Promise<CommandRow> {
  const [command] = await db.select().from(commands).where(eq(commands.id, id))
  if (!command) throw new Error(`No such command: ${id}`)
  return command
}

/**
 * The outcome of a resource. `done` is the kind of command that requests this outcome. `amount` is
 * the amount of the outcome, out of the whole amount `ofAmount`.
 */
type Outcome = { done: CommandKind | null; amount: number; ofAmount: number }

/**
 * Answers the open command, in the transaction after which the resource takes no more commands. The
 * command is `done` if it requested this outcome, and `refused` otherwise. A capture without an
 * amount requests the whole amount.
 */
export async function answerCommand(
  tx: Tx,
  resourceId: string,
  { done, amount, ofAmount }: Outcome,
  now: Date,
): Promise<void> {
  const wanted = sql`${commands.kind} <> 'capture' or coalesce(${commands.amount}, ${ofAmount}) = ${amount}`
  const status = sql`case when ${commands.kind} = ${done} and (${wanted}) then 'done' else 'refused' end`
  // This condition is worded like the index, or a cached plan can't use the index.
  const isOpen = sql`${commands.status} = 'open'`
  await tx
    .update(commands)
    .set({ status, nextSweepAt: null, updatedAt: now })
    .where(and(eq(commands.resourceId, resourceId), isOpen))
}

/**
 * Returns the open command of a resource, of this kind or of any kind. Returns null if there is
 * none.
 */
export async function findOpenCommand(db: Db | Tx, resourceId: string, kind?: CommandKind) {
  const isOpen = sql`${commands.status} = 'open'`
  const [command] = await db
    .select()
    .from(commands)
    .where(and(eq(commands.resourceId, resourceId), kind && eq(commands.kind, kind), isOpen))
  return command ?? null
}

/** Refuses an open command that can no longer be done, although the resource has not ended yet. */
export async function refuseCommand(
  tx: Tx,
  resourceId: string,
  kind: CommandKind,
  now: Date,
): Promise<void> {
  const isOpen = sql`${commands.status} = 'open'`
  await tx
    .update(commands)
    .set({ status: 'refused', nextSweepAt: null, updatedAt: now })
    .where(and(eq(commands.resourceId, resourceId), eq(commands.kind, kind), isOpen))
}
