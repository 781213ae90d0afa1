import type { IncomingMessage } from 'node:http'
import type { Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import { AppError } from '../../core/errors.ts'
import type { Env } from './router.ts'

/** Each of these decides who sends a request or what the request means, by its one value. */
const singleHeaders = [
  'Host',
  'Authorization',
  'X-Api-Key',
  'X-Api-Secret',
  'Idempotency-Key',
  'Content-Type',
]

/**
 * Refuses a header that is sent more than once where only one can count. The lines of a repeated
 * header reach us joined by a comma and a space, as RFC 9110 (5.3) allows every proxy to do. So a
 * single value with a comma and a space is refused too: nobody can tell it from two.
 */
export const refuseRepeatedHeaders = createMiddleware<Env>(async (c, next) => {
  for (const name of singleHeaders) {
    if (countLines(c, name) < 2 && !isRepeated(c.req.header(name) ?? '')) continue
    const message = `Send the header ${name} once. Its value must not begin or end with a comma, or have white space after a comma outside quotes.`
    throw new AppError('invalid_request', message, { param: name })
  }
  await next()
})

/** How often the header came over the wire, where the request came over a wire. */
function countLines(c: Context<Env>, name: string): number {
  const { incoming } = (c.env ?? {}) as { incoming?: IncomingMessage }
  const names = incoming?.rawHeaders.filter((_, i) => i % 2 === 0) ?? []
  return names.filter((each) => each.toLowerCase() === name.toLowerCase()).length
}

/** A comma within quotes belongs to the value. An empty line leaves a comma at one end. */
function isRepeated(value: string): boolean {
  return /,\s|^,|,$/.test(value.replace(/"(?:[^"\\]|\\.)*"/g, '""'))
}
