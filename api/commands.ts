import type { Context } from 'hono'
import { AppError } from '../core/errors.ts'
import { commandUpdate, type Start } from '../core/starts.ts'
import type { Tx } from '../db/client.ts'
import { type CommandRow, findCommand } from '../db/commands.ts'
import { lockKey, storeCommandAnswer, storeKey } from '../db/idempotency.ts'
import { keyedRequest, openAnswer, sealAnswer } from './idempotency.ts'
import type { Deps, Env } from './router.ts'

type Resource<Body> = { body: Body & { status: string }; start: Start }

type Steps<Body> = {
  /** Locks the resource, checks that it can take the command, and inserts that. */
  open: (tx: Tx) => Promise<CommandRow>
  /** The resource as it is now. */
  read: () => Promise<Resource<Body>>
}

/**
 * Runs a command on a resource that has a workflow (design §2.4). The row comes first, so that a
 * command which the workflow does not take up at once is not lost: 202, and the sweep sends it
 * again. A repeat with the same Idempotency-Key attaches to the same command and waits again. Throws
 * AppError when the command came too late.
 */
export async function runCommand<Body extends object>(
  c: Context<Env>,
  { db, cipher, tryUpdate }: Pick<Deps, 'db' | 'cipher' | 'tryUpdate'>,
  input: unknown,
  { open, read }: Steps<Body>,
): Promise<{ status: 200 | 202; body: Body }> {
  const request = keyedRequest(c, cipher, input)
  const known = await db.transaction(async (tx) => {
    const now = new Date()
    const earlier = request && (await lockKey(tx, request, now))
    if (earlier && 'answer' in earlier) return earlier.answer
    if (earlier) return findCommand(tx, earlier.commandId)
    const command = await open(tx)
    if (request) await storeKey(tx, request, { commandId: command.id }, now)
    return command
  })
  if (request && 'body' in known)
    return { status: 200, body: openAnswer<Body>(c, cipher, request, known) }
  if (!('kind' in known)) throw new Error('An answer without a key')

  if (known.status === 'open') await tryUpdate((await read()).start, commandUpdate(known))
  const { status } = await findCommand(db, known.id)
  const { body } = await read()
  if (status === 'open') return { status: 202, body }
  if (status === 'refused')
    throw new AppError('conflict', `It came too late: the status is ${body.status} now.`)
  if (request) await storeCommandAnswer(db, request, sealAnswer(cipher, request, 200, body))
  return { status: 200, body }
}
