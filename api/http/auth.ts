import { createMiddleware } from 'hono/factory'
import { AppError } from '../../core/errors.ts'
import type { Db } from '../../db/client.ts'
import { type Caller, findCallerByPair, findCallerBySecret } from '../../db/merchants/merchants.ts'
import type { Env } from './router.ts'

/**
 * Lets a caller in who sends a secret: either `X-Api-Key` with `X-Api-Secret`, or
 * `Authorization: Bearer <secret>`. A key alone is publishable, and opens nothing here. Every
 * credential in a request must be right, and all must agree, because two credentials may belong to
 * two merchants.
 */
export function authenticate(db: Db) {
  return createMiddleware<Env>(async (c, next) => {
    const authorization = c.req.header('authorization')
    const bearer = authorization?.match(/^Bearer +(\S+) *$/i)?.[1]
    if (authorization !== undefined && !bearer) throw unauthorized(NO_BEARER)
    const key = c.req.header('x-api-key')
    const secret = c.req.header('x-api-secret') ?? bearer ?? null
    if (bearer && secret !== bearer) throw unauthorized('There are two secrets. Send one.')
    const now = new Date()

    let caller: Caller | 'publishable' | null = null
    if (key !== undefined) caller = await findCallerByPair(db, key, secret, now)
    else if (bearer)
      caller =
        (await findCallerBySecret(db, bearer, now)) ??
        (await findCallerByPair(db, bearer, null, now))

    if (caller === 'publishable') {
      const message = 'This is a publishable key. This route needs the secret that goes with it.'
      throw new AppError('secret_key_required', message, { param: 'X-Api-Secret' })
    }
    const isWrong = key !== undefined || bearer !== undefined
    if (!caller) throw unauthorized(isWrong ? 'The API key or secret is wrong.' : MISSING)
    c.set('caller', caller)
    await next()
  })
}

const MISSING =
  'Send X-Api-Key and X-Api-Secret, or the secret alone as Authorization: Bearer <secret>.'

const NO_BEARER = 'The header Authorization must be "Bearer <secret>".'

function unauthorized(message: string): AppError {
  return new AppError('unauthorized', message, { headers: { 'WWW-Authenticate': 'Bearer' } })
}
