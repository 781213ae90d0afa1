import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { parseHttpDate } from '../../core/webhooks/http-date.ts'
import { readAnswer } from './outbound-answer.ts'
import { type Agents, type ConnectOptions, createAgents, refuseTarget } from './outbound-connect.ts'
import {
  describeFailure,
  describeTimeout,
  IDLE_TIMEOUT,
  INVALID_STATUS,
  OutboundRefusal,
  PROTOCOL_SWITCHED,
} from './outbound-failure.ts'
import { createSlots } from './outbound-slots.ts'

/**
 * With an answer, `error` is null. Without an answer, its fields are null or 0. `reconnected` is
 * there if the request was sent again, because its reused connection was stale.
 */
export type Answer = {
  httpStatus: number | null
  latencyMs: number
  retryAfterMs: number
  responseHeaders: Record<string, string> | null
  responseBody: string | null
  error: string | null
  reconnected?: true
}

export type Post = {
  (url: string, body: string, headers: Record<string, string>): Promise<Answer>
  /** Waits for the posts under way, then closes every connection. */
  close: () => Promise<void>
}

export type PostOptions = ConnectOptions & {
  timeoutMs?: number
  maxResponseBytes?: number
}

type Message = { url: URL; body: string; headers: Record<string, string>; signal: AbortSignal }

const CONNECTIONS_PER_ORIGIN = 50
const HEADERS_MAX_BYTES = 16 * 1024

/**
 * Builds the one way out to merchants' servers. A post never throws, never follows a redirect,
 * ignores the environment's proxies, and is over within `timeoutMs`, whatever the other side does.
 */
export function createPost(options: PostOptions): Post {
  const { timeoutMs = 10_000, maxResponseBytes = 4096 } = options
  const pooled = createAgents(options, { keepAlive: true })
  const single = createAgents(options, { keepAlive: false })
  const acquireSlot = createSlots(CONNECTIONS_PER_ORIGIN)
  const underWay = new Set<Promise<Answer>>()

  async function send(url: string, body: string, headers: Record<string, string>) {
    const signal = AbortSignal.timeout(timeoutMs)
    try {
      const message = { url: new URL(url), body, headers, signal }
      refuseTarget(message.url, options)
      // Each post has one connection at a time, so the slots also limit the connections.
      const releaseSlot = await acquireSlot(message.url.origin, signal)
      try {
        const { result, ...retried } = await requestWithReconnect(pooled, single, message)
        return { ...(await toAnswer(result)), ...retried }
      } finally {
        releaseSlot()
      }
    } catch (error) {
      return noAnswer(explain(error))
    }

    async function toAnswer(result: Result) {
      if ('error' in result) return noAnswer(explain(result.error))
      const { retryAfter, ...answer } = await readAnswer(result.response, maxResponseBytes)
      return { ...answer, retryAfterMs: parseRetryAfter(retryAfter), error: null }
    }

    function explain(error: unknown): string {
      return signal.aborted ? describeTimeout(timeoutMs) : describeFailure(error, url)
    }
  }

  const post = (url: string, body: string, headers: Record<string, string>) => {
    const start = performance.now()
    const sending = send(url, body, headers)
      .then((answer) => ({ ...answer, latencyMs: Math.round(performance.now() - start) }))
      .finally(() => underWay.delete(sending))
    underWay.add(sending)
    return sending
  }
  const close = async () => {
    while (underWay.size > 0) await Promise.all(underWay)
    for (const agent of [pooled, single].flatMap(Object.values<http.Agent>)) agent.destroy()
  }
  return Object.assign(post, { close })
}

/**
 * Parses `Retry-After` (seconds or an HTTP date) to ms; nonsense is 0. The caller caps the wait.
 */
export function parseRetryAfter(header: string | null, now = Date.now()): number {
  const value = header?.trim() ?? ''
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : (parseHttpDate(value, now) ?? now) - now
  // Infinity would arrive as null once Temporal has written it as JSON.
  return Math.min(Math.max(0, ms), Number.MAX_SAFE_INTEGER)
}

type Result = { response: IncomingMessage } | { error: Error; isStale: boolean }

/**
 * Sends the message a second time if the connection turns out to be stale. A webhook may arrive
 * twice, because the merchant knows it by its `webhook-id` (RFC 9110, section 9.2.2).
 */
async function requestWithReconnect(pooled: Agents, single: Agents, message: Message) {
  const result = await request(pooled, message)
  const isStale = 'error' in result && result.isStale && !message.signal.aborted
  if (!isStale) return { result }
  // Every idle connection of the pool may be stale too, so the second try makes its own.
  return { result: await request(single, message), reconnected: true as const }
}

/**
 * Sends the message once. Node passes over interim answers (1xx), so `response` is the final one.
 * A failure `isStale` if it happened on a reused connection before any byte of the answer: then the
 * server most likely closed the connection while it was idle.
 */
function request(agents: Agents, { url, body, headers, signal }: Message): Promise<Result> {
  const { request: open, agent } =
    url.protocol === 'https:'
      ? { request: https.request, agent: agents.https }
      : { request: http.request, agent: agents.http }
  return new Promise((resolve) => {
    const fail = (error: Error, isStale = false) => resolve({ error, isStale })
    const outgoing = open({
      agent,
      signal,
      method: 'POST',
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port,
      path: url.pathname + url.search,
      headers: { ...headers, 'accept-encoding': 'identity' },
      maxHeaderSize: HEADERS_MAX_BYTES,
      // The strict parser refuses a final answer behind a 1xx that says `Connection: close`. Input
      // that only the lenient parser accepts concerns nobody but the server that sent it.
      insecureHTTPParser: true,
    })
    let bytesBefore = 0
    outgoing.on('socket', (socket) => {
      bytesBefore = socket.bytesRead
    })
    outgoing.on('response', (response) => {
      response.on('error', () => {}) // `readAnswer` meets the same error while it reads the body.
      const reason = refuseStatus(response.statusCode ?? 0)
      // A server may send 408 to an idle connection and close it (RFC 9110, 15.5.9).
      const isClosing = /close/i.test(response.headers.connection ?? '')
      if (response.statusCode === 408 && isClosing && outgoing.reusedSocket) {
        response.destroy()
        return fail(new OutboundRefusal(IDLE_TIMEOUT), true)
      }
      if (!reason) return resolve({ response })
      response.destroy()
      fail(new OutboundRefusal(reason))
    })
    outgoing.on('upgrade', (_, socket) => {
      socket.destroy()
      fail(new OutboundRefusal(PROTOCOL_SWITCHED))
    })
    outgoing.on('error', (error) =>
      fail(error, outgoing.reusedSocket && outgoing.socket?.bytesRead === bytesBefore),
    )
    outgoing.end(body)
  })
}

/**
 * Returns the reason to refuse a status, or null. After 101 no answer follows (RFC 9110, 15.2.2).
 */
function refuseStatus(status: number): string | null {
  if (status < 100) return INVALID_STATUS
  return status === 101 ? PROTOCOL_SWITCHED : null
}

function noAnswer(error: string) {
  const nothing = { httpStatus: null, responseHeaders: null, responseBody: null }
  return { ...nothing, retryAfterMs: 0, error }
}
