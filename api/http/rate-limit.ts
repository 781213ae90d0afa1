import { createMiddleware } from 'hono/factory'
import { AppError } from '../../core/errors.ts'
import type { Env } from './router.ts'

/** A burst of two seconds' worth of requests goes through at once. */
const BURST_SECONDS = 2

/**
 * Keeps a token bucket per API key, and one bucket for all payers of a merchant, in this process.
 * `perSecond` 0 means no limit.
 */
export function limitRate(perSecond: number, now = () => performance.now()) {
  const buckets = new Map<string, { tokens: number; at: number }>()
  const full = perSecond * BURST_SECONDS

  return createMiddleware<Env>(async (c, next) => {
    if (perSecond > 0) {
      const { keyId } = c.var.caller
      const at = now()
      const last = buckets.get(keyId) ?? { tokens: full, at }
      const tokens = Math.min(full, last.tokens + ((at - last.at) / 1000) * perSecond)
      if (tokens < 1) {
        const seconds = Math.ceil((1 - tokens) / perSecond)
        const headers = { 'Retry-After': String(seconds) }
        throw new AppError('rate_limited', 'Too many requests.', { headers })
      }
      buckets.set(keyId, { tokens: tokens - 1, at })
    }
    await next()
  })
}
