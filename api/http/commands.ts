import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { AppError, type ErrorCode } from '../../core/errors.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import type { Db, Tx } from '../../db/client.ts'
import { type CommandRow, findCommand } from '../../db/requests/commands.ts'
import {
  type Answer,
  type KeyedRequest,
  lockKey,
  storeCommandAnswer,
  storeKey,
} from '../../db/requests/idempotency.ts'
import { commandUpdate, type Start } from '../../temporal/starts.ts'
import { keyedRequest, openAnswer, sealAnswer } from './idempotency.ts'
import { type Deps, type Env, idempotencyKey, idParam, json, merchantRoute } from './router.ts'

type Command<P extends string, In extends z.ZodType, Out extends z.ZodType> = {
  path: P
  operationId: string
  description?: string
  input: In
  output: Out
  errors?: ErrorCode[]
}

/**
 * Returns the route of a command. A command is stored before it is done, so 202 means that the
 * command is not done yet.
 */
export function commandRoute<P extends string, In extends z.ZodType, Out extends z.ZodType>({
  input,
  output,
  errors = [],
  ...route
}: Command<P, In, Out>) {
  return merchantRoute(
    {
      method: 'post',
      ...route,
      request: { params: idParam, headers: idempotencyKey, body: json(input) },
      responses: {
        200: json(output, 'The command is done. This is the object now'),
        202: json(
          output,
          'The command is accepted, and has no result after 5 seconds. Send the request again, or retrieve the object later. The command can still be refused if it came too late',
        ),
      },
    },
    ['conflict', ...errors],
  )
}

/** Returns the input of a command without fields. The API document calls the input `name`. */
export function noFields(name: string) {
  return z.strictObject({}).openapi(name)
}

type Commanded<Row, Requested, Body> = {
  /** Locks the resource, checks that it can take the command, and inserts the command. */
  open: (
    tx: Tx,
    merchantId: string,
    id: string,
    requested: Requested,
    now: Date,
  ) => Promise<CommandRow>
  get: (db: Db, merchantId: string, id: string) => Promise<Row>
  show: (row: Row) => Body & { status: string }
  start: (row: Row, created: Delivery[]) => Start
}

/**
 * Returns the function that runs a command on a resource with a workflow, and answers with the
 * resource. The command's row is inserted before the workflow gets the command. If the workflow
 * does not answer in time, the answer is 202, and the sweep sends the command again. A repeat with
 * the same Idempotency-Key attaches to the same command and waits again. The returned function
 * throws `AppError` if the command came too late.
 */
export function commandHandler<Row, Requested, Body extends object>(
  { db, cipher, tryUpdate }: Pick<Deps, 'db' | 'cipher' | 'tryUpdate'>,
  { open, get, show, start }: Commanded<Row, Requested, Body>,
) {
  return async (c: Context<Env, '/:id'>, requested: Requested) => {
    const { merchantId } = c.var.caller
    const id = c.req.param('id')
    const request = keyedRequest(c, cipher, requested)
    const opened = await openCommandOnce(db, request, (tx) =>
      open(tx, merchantId, id, requested, new Date()),
    )
    if (request && 'body' in opened)
      return c.json(openAnswer<Body>(c, cipher, request, opened), 200)
    if (!('kind' in opened)) throw new Error('An answer without a key')

    if (opened.status === 'open')
      await tryUpdate(start(await get(db, merchantId, id), []), commandUpdate(opened))
    const { status } = await findCommand(db, opened.id)
    const body = show(await get(db, merchantId, id))
    if (status === 'open') return c.json(body, 202)
    if (status === 'refused')
      throw new AppError(
        'conflict',
        `The command came too late: the status is now "${body.status}".`,
      )
    if (request) await storeCommandAnswer(db, request, sealAnswer(cipher, request, 200, body))
    return c.json(body, 200)
  }
}

/**
 * Opens the command. Returns the earlier command or the earlier answer if the request is a repeat.
 */
function openCommandOnce(
  db: Db,
  request: KeyedRequest | null,
  open: (tx: Tx) => Promise<CommandRow>,
): Promise<CommandRow | Answer> {
  return db.transaction(async (tx) => {
    const now = new Date()
    const earlier = request && (await lockKey(tx, request, now))
    if (earlier && 'answer' in earlier) return earlier.answer
    if (earlier) return findCommand(tx, earlier.commandId)
    const command = await open(tx)
    if (request) await storeKey(tx, request, { commandId: command.id }, now)
    return command
  })
}
