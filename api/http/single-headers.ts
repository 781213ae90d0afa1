import type { IncomingMessage } from 'node:http'
import type { Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import { AppError } from '../../core/errors.ts'
import type { Env } from './router.ts'

/** The one value of each of these headers decides who sends a request or what the request means. */
const singleHeaders = [
  'Host',
  'Authorization',
  'X-Api-Key',
  'X-Api-Secret',
  'Idempotency-Key',
  'Content-Type',
]

/**
 * Refuses a header that is sent more than once if only one value can count. A repeated header
 * reaches us as one value, joined by a comma and a space, as RFC 9110 (5.3) allows every proxy to
 * do. A single value with a comma and a space is therefore refused too, because nobody can tell
 * that value from two values.
 */
export const refuseRepeatedHeaders = createMiddleware<Env>(async (c, next) => {
  for (const name of singleHeaders) {
    if (countLines(c, name) < 2 && !isRepeated(c.req.header(name) ?? '')) continue
    const message = `Send the header ${name} once. Its value must not begin or end with a comma, or have white space after a comma outside quotes.`
    throw new AppError('invalid_request', message, { param: name })
  }
  await next()
})

/** Counts the header's lines on the wire. Returns 0 if the request did not come over a wire. */
function countLines(c: Context<Env>, name: string): number {
  const { incoming } = (c.env ?? {}) as { incoming?: IncomingMessage }
  const names = incoming?.rawHeaders.filter((_, i) => i % 2 === 0) ?? []
  return names.filter((each) => each.toLowerCase() === name.toLowerCase()).length
}

/** A comma within quotes belongs to the value. An empty line leaves a comma at one end. */
function isRepeated(value: string): boolean {
  return /,\s|^,|,$/.test(value.replace(/"(?:[^"\\]|\\.)*"/g, '""'))
}
