import { and, eq, sql } from 'drizzle-orm'
import type { CommandKind } from '../core/command.ts'
import { AppError } from '../core/errors.ts'
import { firstSweepAt } from '../core/sweep.ts'
import type { Db, Tx } from './client.ts'
import { newId } from './ids.ts'
import { commands } from './schema.ts'

export type CommandRow = typeof commands.$inferSelect
type NewCommand = Pick<CommandRow, 'merchantId' | 'resourceId' | 'kind' | 'amount'>

/**
 * Opens a command on a resource that the caller has locked and found in a status to take it. Throws
 * AppError when another one is open.
 */
export async function insertCommand(tx: Tx, values: NewCommand, now: Date): Promise<CommandRow> {
  const times = { createdAt: now, updatedAt: now, nextSweepAt: firstSweepAt('lifecycle', now) }
  const [command] = await tx
    .insert(commands)
    .values({ id: newId('command'), ...values, ...times })
    .onConflictDoNothing({ target: commands.resourceId, where: sql`status = 'open'` })
    .returning()
  if (command) return command
  throw new AppError('conflict', 'Another capture or cancel of it is in progress.')
}

export async function findCommand(db: Db | Tx, id: string): Promise<CommandRow> {
  const [command] = await db.select().from(commands).where(eq(commands.id, id))
  if (!command) throw new Error(`No such command: ${id}`)
  return command
}

/**
 * In the transaction that ends what the resource can be told: an open command is done if it is of
 * the kind `done`, and refused otherwise.
 */
export async function answerCommand(
  tx: Tx,
  resourceId: string,
  done: CommandKind | null,
  now: Date,
): Promise<void> {
  const status = sql`case when ${commands.kind} = ${done} then 'done' else 'refused' end`
  await tx
    .update(commands)
    .set({ status, nextSweepAt: null, updatedAt: now })
    .where(and(eq(commands.resourceId, resourceId), eq(commands.status, 'open')))
}
