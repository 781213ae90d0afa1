import type { Context } from 'hono'
import { AppError } from '../core/errors.ts'
import type { Start } from '../core/starts.ts'
import type { Tx } from '../db/client.ts'
import { findAnswer, type KeyedRequest, lockKey, storeAnswer } from '../db/idempotency.ts'
import type { Deps, Env } from './router.ts'

const KEY_MAX = 255

type Steps<Body, Prepared> = {
  /** What must happen outside the transaction, such as asking a provider; only for new requests. */
  prepare?: (() => Promise<Prepared>) | undefined
  write: (tx: Tx, prepared: Prepared | undefined) => Promise<{ body: Body; start: Start | null }>
}

/**
 * Creates something at most once per Idempotency-Key. The record commits with what it answers for,
 * the workflow starts after that. A repeat gets the first body again, and says so in a header.
 */
export async function createOnce<Body extends object, Prepared = undefined>(
  c: Context<Env>,
  { db, cipher, tryStart }: Pick<Deps, 'db' | 'cipher' | 'tryStart'>,
  input: unknown,
  { prepare, write }: Steps<Body, Prepared>,
): Promise<Body> {
  const now = new Date()
  const request = keyedRequest(c, cipher.fingerprints(JSON.stringify(input)))
  // Encrypted at rest, because the answer to a new endpoint holds its secret.
  const context = `idempotency_keys.response_body/${request?.merchantId}/${request?.key}`
  const replay = (answer: { body: string }) => {
    c.header('Idempotent-Replayed', 'true')
    return JSON.parse(cipher.decrypt(answer.body, context)) as Body
  }

  const earlier = request && prepare && (await findAnswer(db, request, now))
  if (earlier) return replay(earlier)
  const prepared = await prepare?.()
  const made = await db.transaction(async (tx) => {
    if (!request) return write(tx, prepared)
    await lockKey(tx, request)
    const answer = await findAnswer(tx, request, now)
    if (answer) return answer
    const written = await write(tx, prepared)
    const body = cipher.encrypt(JSON.stringify(written.body), context)
    await storeAnswer(tx, request, { status: 201, body }, now)
    return written
  })
  if ('status' in made) return replay(made)
  if (made.start) await tryStart(made.start)
  return made.body
}

function keyedRequest(c: Context<Env>, fingerprints: string[]): KeyedRequest | null {
  const key = c.req.header('idempotency-key')
  if (key === undefined) return null
  if (key.length === 0 || key.length > KEY_MAX) {
    const message = `An Idempotency-Key has 1 to ${KEY_MAX} characters.`
    throw new AppError('invalid_request', message, { param: 'Idempotency-Key' })
  }
  const { merchantId } = c.var.caller
  return { merchantId, method: c.req.method, path: c.req.path, key, fingerprints }
}
