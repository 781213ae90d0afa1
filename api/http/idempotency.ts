import type { Context } from 'hono'
import { canonicalJson } from '../../core/canonical.ts'
import { AppError } from '../../core/errors.ts'
import type { Tx } from '../../db/client.ts'
import {
  type Answer,
  type KeyedRequest,
  type Known,
  leaseKey,
  lockKey,
  releaseKey,
  storeKey,
} from '../../db/requests/idempotency.ts'
import type { Start } from '../../temporal/starts.ts'
import type { Deps, Env } from './router.ts'

const KEY_MAX = 255

type Needs = Pick<Deps, 'db' | 'cipher' | 'tryStart'>
type Written<Body> = { body: Body; start: Start | null }

export type CreationSteps<Body, Prepared> = {
  /** Does work that must stay outside the transaction, such as a provider call. Repeats skip it. */
  prepare?: (() => Promise<Prepared>) | undefined
  write: (tx: Tx, prepared: Prepared | undefined) => Promise<Written<Body>>
}

/**
 * Creates an object at most once per Idempotency-Key. The object and the record of its answer
 * commit together, and the workflow starts after that. A repeat gets the first body again, with a
 * header.
 */
export async function createOnce<Body extends object, Prepared = undefined>(
  c: Context<Env>,
  { db, cipher, tryStart }: Needs,
  input: unknown,
  { prepare, write }: CreationSteps<Body, Prepared>,
): Promise<Body> {
  const request = keyedRequest(c, cipher, input)
  const lease = request && prepare ? await leaseKey(db, request, new Date()) : null
  if (lease && !('leaseId' in lease)) return replay(lease)
  const leaseId = lease?.leaseId ?? null

  function replay(earlier: Known): Body {
    if (!request || !('answer' in earlier))
      throw new Error('The Idempotency-Key of a command came to another route')
    return openAnswer(c, cipher, request, earlier.answer)
  }

  /** Writes the object and its record. For a repeat, returns the record of the earlier request. */
  function writeOnce(prepared: Prepared | undefined) {
    return db.transaction(async (tx) => {
      if (!request) return write(tx, prepared)
      const now = new Date()
      const earlier = await lockKey(tx, request, now, leaseId)
      if (earlier) return earlier
      const written = await write(tx, prepared)
      await storeKey(tx, request, { answer: sealAnswer(cipher, request, 201, written.body) }, now)
      return written
    })
  }

  try {
    const written = await writeOnce(await prepare?.())
    if (!('body' in written)) return replay(written)
    if (written.start) await tryStart(written.start)
    return written.body
  } catch (error) {
    // If the release fails, the lease expires by itself.
    if (request && leaseId) await releaseKey(db, request, leaseId).catch(() => {})
    throw error
  }
}

/** Returns null for a request without a key. Throws `AppError` if the key is empty or too long. */
export function keyedRequest(
  c: Context<Env>,
  cipher: Needs['cipher'],
  input: unknown,
): KeyedRequest | null {
  const key = c.req.header('idempotency-key')
  if (key === undefined) return null
  if (key.length === 0 || key.length > KEY_MAX) {
    const message = `An Idempotency-Key has 1 to ${KEY_MAX} characters.`
    throw new AppError('invalid_request', message, { param: 'Idempotency-Key' })
  }
  const fingerprints = cipher.fingerprints(canonicalJson(input))
  const { merchantId } = c.var.caller
  return { merchantId, method: c.req.method, path: c.req.path, key, fingerprints }
}

/** Encrypts an answer for its record, because the answer for a new endpoint contains its secret. */
export function sealAnswer(
  cipher: Needs['cipher'],
  request: KeyedRequest,
  status: number,
  body: object,
): Answer {
  return { status, body: cipher.encrypt(JSON.stringify(body), contextOf(request)) }
}

/** Returns the body of an earlier answer, and marks the response as a replay. */
export function openAnswer<Body>(
  c: Context<Env>,
  cipher: Needs['cipher'],
  request: KeyedRequest,
  answer: Answer,
): Body {
  c.header('Idempotent-Replayed', 'true')
  return JSON.parse(cipher.decrypt(answer.body, contextOf(request))) as Body
}

function contextOf({ merchantId, key }: KeyedRequest): string {
  return `idempotency_keys.response_body/${merchantId}/${key}`
}
