import { MIMEType } from 'node:util'
import { bodyLimit } from 'hono/body-limit'
import { createMiddleware } from 'hono/factory'
import { AppError } from '../../core/errors.ts'
import type { Env } from './router.ts'

const BODY_MAX_BYTES = 1024 * 1024
const DEPTH_MAX = 32
const NAME_MAX_CHARS = 200

const limit = bodyLimit({
  maxSize: BODY_MAX_BYTES,
  onError() {
    // The rest of the body is not read, so the connection cannot carry another request.
    const headers = { Connection: 'close' }
    throw new AppError('body_too_large', 'The body is larger than 1 MiB.', {
      param: 'body',
      headers,
    })
  },
})

/**
 * Reads a body that comes in chunks. A body with a length is read later, by the code that needs it.
 */
export const limitBody = createMiddleware<Env>(async (c, next) => {
  await arrival(limit(c, async () => {}))
  await next()
})

/**
 * Refuses input that no route could take: a body that is not JSON, and text that Postgres can't
 * hold (NUL characters, halves of a surrogate pair), anywhere in the path, the query or the body.
 */
export const checkInput = createMiddleware<Env>(async (c, next) => {
  if (/%00/.test(c.req.url)) throw refusal('NUL characters are not allowed in a URL', 'url')
  for (const [name, values] of Object.entries(c.req.queries()))
    if (values.length > 1) throw refusal('Send the parameter once', name.slice(0, NAME_MAX_CHARS))
  const bytes = c.req.method === 'GET' ? null : await arrival(c.req.arrayBuffer())
  if (!bytes?.byteLength) {
    c.req.raw.headers.delete('content-type') // an empty body counts as no body, whatever its type
  } else {
    checkHeaders(c.req.header())
    // Hono's validator accepts fewer ways to write a media type than RFC 9110 allows.
    c.req.raw.headers.set('content-type', JSON_TYPE)
    checkValue(parse(decode(bytes)), [])
  }
  await next()
})

/**
 * A caller that hangs up, stalls or frames its chunks wrongly is at fault, and this server is not.
 */
async function arrival<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    throw new AppError('invalid_request', 'The body did not arrive.', { cause })
  }
}

function checkHeaders(headers: Record<string, string>): void {
  if (!isJson(headers['content-type'] ?? '')) {
    const message = 'Send the body as Content-Type: application/json, in UTF-8.'
    throw new AppError('unsupported_media_type', message, { param: 'Content-Type' })
  }
  if (!/^chunked$/i.test(headers['transfer-encoding'] ?? 'chunked')) {
    const message = 'Send the body as it is, or in chunks: no other Transfer-Encoding is read.'
    throw new AppError('unsupported_media_type', message, { param: 'Transfer-Encoding' })
  }
  if (!/^identity$/i.test(headers['content-encoding'] ?? 'identity')) {
    const message = 'Send the body as it is, without a Content-Encoding.'
    throw new AppError('unsupported_media_type', message, { param: 'Content-Encoding' })
  }
}

const JSON_TYPE = 'application/json'

/** JSON is UTF-8 (RFC 8259, 8.1). Other parameters of the media type have no meaning. */
function isJson(contentType: string): boolean {
  try {
    const { essence, params } = new MIMEType(contentType)
    const { encoding } = new TextDecoder(params.get('charset') ?? 'utf-8')
    return essence === JSON_TYPE && encoding === 'utf-8'
  } catch {
    return false // `contentType` is no media type, or names no charset that exists
  }
}

/** Refuses invalid UTF-8: a lenient decoder would make text of it that nobody has sent. */
function decode(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new AppError('invalid_request', 'The body is not valid UTF-8.', { cause })
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AppError('invalid_request', 'The body is not valid JSON.', { cause })
  }
}

function checkValue(value: unknown, path: string[]): void {
  if (path.length > DEPTH_MAX) throw refusal('nested too deeply', path[0] ?? '')
  if (typeof value === 'string') checkText(value, path)
  else if (typeof value === 'object' && value !== null)
    for (const [name, item] of Object.entries(value)) {
      // Validation would silently drop `__proto__`, because it is no ordinary property in
      // JavaScript.
      if (name === '__proto__') throw refusal('not allowed as a name', [...path, name].join('.'))
      checkText(name, path)
      checkValue(item, [...path, name])
    }
}

function checkText(text: string, path: string[]): void {
  if (text.includes('\0')) throw refusal('NUL characters are not allowed', path.join('.'))
  if (!text.isWellFormed()) throw refusal('not well-formed Unicode', path.join('.'))
}

function refusal(reason: string, param: string): AppError {
  return new AppError('invalid_request', param ? `${param}: ${reason}.` : `${reason}.`, { param })
}
