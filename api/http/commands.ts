import type { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { AppError, type ErrorCode } from '../../core/errors.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import type { Db, Tx } from '../../db/client.ts'
import { type CommandRow, findCommand } from '../../db/requests/commands.ts'
import { lockKey, storeCommandAnswer, storeKey } from '../../db/requests/idempotency.ts'
import { commandUpdate, type Start } from '../../temporal/starts.ts'
import { keyedRequest, openAnswer, sealAnswer } from './idempotency.ts'
import { type Deps, type Env, idempotencyKey, idParam, json, merchantRoute } from './router.ts'

type Route<P extends string> = { path: P; operationId: string; description?: string }
type Schemas<In extends z.ZodType, Out extends z.ZodType> = { input: In; output: Out }

/** Commands are kept before they are done, and 202 says that they are not done yet. */
export function commandRoute<P extends string, In extends z.ZodType, Out extends z.ZodType>(
  route: Route<P>,
  { input, output }: Schemas<In, Out>,
  errors: ErrorCode[],
) {
  return merchantRoute(
    {
      method: 'post',
      ...route,
      request: { params: idParam, headers: idempotencyKey, body: json(input) },
      responses: {
        200: json(output, 'Done: the object as it is now'),
        202: json(
          output,
          'Accepted, and not answered within 5 seconds: repeat it, or look again later. It can still turn out to come too late',
        ),
      },
    },
    errors,
  )
}

type Commanded<Row, Asked, Body> = {
  open: (tx: Tx, merchantId: string, id: string, asked: Asked, now: Date) => Promise<CommandRow>
  get: (db: Db, merchantId: string, id: string) => Promise<Row>
  show: (row: Row) => Body & { status: string }
  start: (row: Row, created: Delivery[]) => Start
}

/** What runs the commands of a resource, as their routes ask for them. */
export function commandsOf<Row, Asked, Body extends object>(
  deps: Pick<Deps, 'db' | 'cipher' | 'tryUpdate'>,
  { open, get, show, start }: Commanded<Row, Asked, Body>,
) {
  return (c: Context<Env>, asked: Asked) => {
    const { merchantId } = c.var.caller
    const id = c.req.param('id') ?? ''
    return runCommand<Body>(c, deps, asked, {
      open: (tx) => open(tx, merchantId, id, asked, new Date()),
      async read() {
        const row = await get(deps.db, merchantId, id)
        return { body: show(row), start: start(row, []) }
      },
    })
  }
}

type Resource<Body> = { body: Body & { status: string }; start: Start }

type Steps<Body> = {
  /** Locks the resource, checks that it can take the command, and inserts that. */
  open: (tx: Tx) => Promise<CommandRow>
  /** The resource as it is now. */
  read: () => Promise<Resource<Body>>
}

/**
 * Runs a command on a resource that has a workflow. The command's row is inserted before the workflow
 * hears of the command. If the workflow does not answer in time, the answer is 202, and the sweep sends
 * the command again. A repeat with the same Idempotency-Key attaches to the same command and waits
 * again. Throws AppError when the command came too late.
 */
async function runCommand<Body extends object>(
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
