import { randomUUID } from 'node:crypto'
import { createMiddleware } from 'hono/factory'
import type { Log } from '../../log.ts'
import type { Env } from './router.ts'

/**
 * Probes request `/health` and `/ready` all the time, and `npm start` itself requests `/dev/`.
 * Lines for these paths have the level `debug`.
 */
const quiet = /^\/(health|ready|dev\/.*)$/
const PATH_MAX_CHARS = 200

export function newRequestId(): string {
  return `req_${randomUUID().replaceAll('-', '')}`
}

/**
 * Gives each request an id and a log whose lines have that id, and writes a line after the answer.
 * The line has the path alone, because a query or a body may hold anything. The path stays encoded,
 * because anybody may send a path that decodes to lines like ours.
 */
export function logRequests(log: Log) {
  return createMiddleware<Env>(async (c, next) => {
    const startedAt = performance.now()
    const requestId = newRequestId()
    c.set('requestId', requestId)
    c.set('log', log.child({ request_id: requestId }))
    c.header('Request-Id', requestId)
    await next()
    const { method } = c.req
    const { status } = c.res
    const path = new URL(c.req.url).pathname.slice(0, PATH_MAX_CHARS)
    const ms = Math.round(performance.now() - startedAt)
    const fields = { method, path, status, ms, merchant_id: c.get('caller')?.merchantId }
    const level = quiet.test(path) ? 'debug' : 'info'
    c.var.log[level](fields, `${method} ${path} ${status} in ${ms} ms`)
  })
}
