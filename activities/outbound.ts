import dns from 'node:dns'
import net from 'node:net'
import { Agent, buildConnector, type Dispatcher, request } from 'undici'
import { parseHttpDate } from '../core/http-date.ts'
import { isPublicAddress, type OutboundPolicy } from '../core/public-address.ts'
import { describeFailure } from './outbound-failure.ts'

/** With no answer, all but `latencyMs` and `error` is null or 0; with an answer, `error` is null. */
export type Answer = {
  httpStatus: number | null
  latencyMs: number
  retryAfterMs: number
  responseHeaders: Record<string, string> | null
  responseBody: string | null
  error: string | null
}

export type Post = {
  (url: string, body: string, headers: Record<string, string>): Promise<Answer>
  /** Waits for the posts under way, then closes every connection. */
  close: () => Promise<void>
}

export type PostOptions = OutboundPolicy & {
  timeoutMs?: number
  maxResponseBytes?: number
  /** Stands in for the system's resolver in tests. */
  lookup?: net.LookupFunction
}

const CONNECTIONS_PER_ORIGIN = 50
const KEEP_ALIVE_MS = 4_000
const KEEP_ALIVE_MAX_MS = 30_000
const HEADERS_MAX_BYTES = 16 * 1024
const KEPT_HEADERS_MAX = 50
const KEPT_HEADERS_MAX_BYTES = 8 * 1024
// Node's own 250 ms gives up on every address of a far-away host that has several.
const ADDRESS_ATTEMPT_MS = 1_000

/**
 * Builds the one way out to merchants' servers. A post never throws, never follows a redirect,
 * ignores the environment's proxies, and is over within `timeoutMs`, whatever the other side does.
 */
export function createPost(options: PostOptions): Post {
  const { timeoutMs = 10_000, maxResponseBytes = 4096 } = options
  const agent = new Agent({
    connect: createConnect(options, timeoutMs),
    connections: CONNECTIONS_PER_ORIGIN,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MAX_MS,
    maxHeaderSize: HEADERS_MAX_BYTES,
  })
  const post = async (url: string, body: string, headers: Record<string, string>) => {
    const start = performance.now()
    const answer = await send(agent, url, body, headers, timeoutMs)
      .then((response) => readAnswer(response, maxResponseBytes))
      .catch((error: unknown) => noAnswer(describeFailure(error, url, timeoutMs)))
    return { ...answer, latencyMs: Math.round(performance.now() - start) }
  }
  return Object.assign(post, { close: () => agent.close() })
}

/** Retry-After in ms, from seconds or an HTTP date; nonsense is 0. The caller caps it. */
export function parseRetryAfter(header: string | null, now = Date.now()): number {
  const value = header?.trim() ?? ''
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : (parseHttpDate(value, now) ?? now) - now
  // Infinity would arrive as null once Temporal has written it as JSON.
  return Math.min(Math.max(0, ms), Number.MAX_SAFE_INTEGER)
}

/**
 * Checks the address at the moment of connecting, so that what was checked is what is dialled. A
 * name's addresses pass through `lookup`; for a literal undici never calls it.
 */
function createConnect(options: PostOptions, timeoutMs: number): buildConnector.connector {
  const { allowHttp, allowPrivateNetworks, lookup = dns.lookup } = options
  const connect = buildConnector({
    timeout: timeoutMs,
    lookup: allowPrivateNetworks ? lookup : publicOnly(lookup),
    autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
  })
  return (target, done) => {
    const host = target.hostname.replace(/^\[|\]$/g, '')
    if (target.protocol !== 'https:' && !allowHttp) {
      return done(blocked('only https is allowed'), null)
    }
    if (!allowPrivateNetworks && net.isIP(host) && !isPublicAddress(host)) {
      return done(blocked(`${host} is not a public address`), null)
    }
    connect(target, done)
  }
}

/** One private address among public ones is enough to refuse: the connection may try them all. */
function publicOnly(lookup: net.LookupFunction): net.LookupFunction {
  return (hostname, options, done) =>
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error) return done(error, [])
      const list = typeof found === 'string' ? [{ address: found, family: net.isIP(found) }] : found
      const [first] = list
      if (!first || !list.every(({ address }) => isPublicAddress(address))) {
        // The address stays untold, or a merchant could read the names of our own network.
        return done(blocked(`${hostname} does not resolve to public addresses only`), [])
      }
      options.all ? done(null, list) : done(null, first.address, first.family)
    })
}

function blocked(reason: string): Error {
  return new Error(`Blocked: ${reason}`)
}

async function send(
  dispatcher: Agent,
  url: string,
  body: string,
  headers: Record<string, string>,
  timeoutMs: number,
): Promise<Dispatcher.ResponseData> {
  const signal = AbortSignal.timeout(timeoutMs)
  const response = request(url, {
    dispatcher,
    method: 'POST',
    headers: { ...headers, 'accept-encoding': 'identity' },
    body,
    signal,
  })
  // undici heeds the signal only once it has a connection, so a slow lookup or a full queue would
  // outlast it. The request left behind is never sent: undici drops it when its turn comes.
  const timeout = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  return Promise.race([response, timeout])
}

async function readAnswer(response: Dispatcher.ResponseData, maxBytes: number) {
  const { statusCode, headers, body } = response
  return {
    httpStatus: statusCode,
    retryAfterMs: parseRetryAfter([headers['retry-after']].flat()[0] ?? null),
    responseHeaders: keepHeaders(headers),
    responseBody: await readPrefix(body, maxBytes),
    error: null,
  }
}

function noAnswer(error: string) {
  const nothing = { httpStatus: null, responseHeaders: null, responseBody: null }
  return { ...nothing, retryAfterMs: 0, error: storable(error) }
}

/** Leaving the loop, at the cap or at an error, also drops the rest of the body. */
async function readPrefix(body: Dispatcher.ResponseData['body'], maxBytes: number) {
  const chunks: Buffer[] = []
  let bytes = 0
  body.on('error', () => {}) // Dropping the rest is reported as an error that nobody awaits.
  try {
    for await (const chunk of body) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes >= maxBytes) break
    }
  } catch {
    // The status has arrived and decides; of a broken or stalled body we keep what came.
  }
  const prefix = Buffer.concat(chunks).subarray(0, maxBytes)
  // Streaming leaves out a character that the cap has cut in two.
  return storable(new TextDecoder().decode(prefix, { stream: bytes > maxBytes }))
}

function keepHeaders(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  let bytes = 0
  const kept = Object.entries(headers)
    .slice(0, KEPT_HEADERS_MAX)
    .map(([name, value]) => [name, storable([value].flat().join(', '))] as const)
    .filter(([name, value]) => {
      bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
      return bytes <= KEPT_HEADERS_MAX_BYTES
    })
  return Object.fromEntries(kept)
}

/** Postgres text can't hold a NUL. */
function storable(text: string): string {
  return text.replaceAll('\0', '\uFFFD')
}
