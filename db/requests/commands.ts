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
 * Opens a command on a resource that the caller has locked and found in a status to take it. Throws
 * AppError when another one is open.
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

/** What a resource has become: the kind of command that asked for it, and of what amount. */
type Outcome = { done: CommandKind | null; amount: number; ofAmount: number }

/**
 * In the transaction that ends what the resource can be told: an open command is done if it asked
 * for what has happened, and refused otherwise. A capture without an amount is one of all of it.
 */
export async function answerCommand(
  tx: Tx,
  resourceId: string,
  { done, amount, ofAmount }: Outcome,
  now: Date,
): Promise<void> {
  const wanted = sql`${commands.kind} <> 'capture' or coalesce(${commands.amount}, ${ofAmount}) = ${amount}`
  const status = sql`case when ${commands.kind} = ${done} and (${wanted}) then 'done' else 'refused' end`
  const isOpen = sql`${commands.status} = 'open'` // as its index says it, or a kept plan can't use that
  await tx
    .update(commands)
    .set({ status, nextSweepAt: null, updatedAt: now })
    .where(and(eq(commands.resourceId, resourceId), isOpen))
}

/** What somebody has asked of it, of that kind or any, and has no answer to yet. */
export async function findOpenCommand(db: Db | Tx, resourceId: string, kind?: CommandKind) {
  const isOpen = sql`${commands.status} = 'open'`
  const [command] = await db
    .select()
    .from(commands)
    .where(and(eq(commands.resourceId, resourceId), kind && eq(commands.kind, kind), isOpen))
  return command ?? null
}

/** One that can no longer be done, although the resource has not ended yet. */
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
