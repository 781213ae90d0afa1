import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { RequestError } from '@hono/node-server'
import { AppError } from '../../core/errors.ts'
import type { Log } from '../../log.ts'
import { toErrorAnswer } from './errors.ts'
import { newRequestId } from './request-log.ts'

type Listener = (request: IncomingMessage, response: ServerResponse) => unknown

/** `_httpMessage` is the response that Node owes to a request on the socket. */
type HttpSocket = Duplex & { _httpMessage?: (ServerResponse & { req: IncomingMessage }) | null }

const LINGER_MS = 1_000 // if the caller still sends, a reset could overtake the answer

/**
 * Answers requests that never reach the app, and that Node would otherwise answer without a body:
 * headers that are too large, a head that is not HTTP, a request that stalls. Every answer has the
 * API's own shape and a Request-Id, and ends its connection.
 */
export function answerUnreadable(server: Server, log: Log): void {
  const refused = new WeakSet<HttpSocket>()

  /** Refuses a connection only once, because the parser reports every later byte as well. */
  function refuse(socket: HttpSocket, refusal: AppError): void {
    if (refused.has(socket)) {
      if (socket.writableEnded) socket.destroy()
      return
    }
    refused.add(socket)
    socket.on('error', () => {}) // The caller may be gone. CONNECT leaves no other listener.
    const isLate = refusal.code === 'request_timeout'
    const isOwed = socket._httpMessage?.req.complete
    afterOwedAnswers(socket, () => {
      if (isLate && isOwed)
        socket.end() // the time ran out between two requests
      else writeTo(socket, refusal, isLate ? 0 : LINGER_MS, log)
    })
  }

  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (error.code === 'ECONNRESET') socket.destroy()
    else refuse(socket, toRefusal(error.code ?? ''))
  })
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    const message = 'Remove the header Expect, or send "100-continue" as its value.'
    respond(response, new AppError('expectation_failed', message, { param: 'Expect' }), log)
  })
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    const message = 'This server is not a proxy. Send the request without CONNECT.'
    refuse(socket, new AppError('method_not_allowed', message, { headers: { Allow: '' } }))
  })
}

/** HTTP/1.1 needs a Host (RFC 9112, 3.2). Probes that speak HTTP/1.0 may have none. */
export function requireHost(listener: Listener, log: Log): Listener {
  return (request, response) => {
    if (request.headers.host !== undefined || request.httpVersion === '1.0')
      return listener(request, response)
    const message = 'The Host header is missing.'
    respond(response, new AppError('invalid_request', message, { param: 'Host' }), log)
  }
}

/** Answers a request whose path or Host header is not valid. Any other error is a fault of ours. */
export function answerBadAddress(log: Log): (error: unknown) => Response {
  return (error) => {
    const message = 'The path or the Host header of the request is not valid.'
    const refusal =
      error instanceof RequestError
        ? new AppError('invalid_request', message)
        : new AppError('internal', 'Something went wrong on our side.', { cause: error })
    const { status, headers, text } = toAnswer(refusal, log)
    return new Response(text, { status, headers })
  }
}

function toRefusal(code: string): AppError {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new AppError(
      'headers_too_large',
      'The request line and the headers together exceed 16 KiB. Shorten the URL or the headers.',
    )
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new AppError(
      'request_timeout',
      'The request did not arrive in time. Send the request again.',
    )
  return new AppError('invalid_request', 'The request is not valid HTTP/1.1.')
}

function respond(response: ServerResponse, refusal: AppError, log: Log): void {
  const { status, headers, text } = toAnswer(refusal, log)
  response.writeHead(status, headers).end(text)
}

/**
 * Calls `next` when every request that arrived whole has its answer (RFC 9112, 9.3.2). Otherwise a
 * caller would take the refusal for the answer to a payment that Remit did make.
 */
function afterOwedAnswers(socket: HttpSocket, next: () => void): void {
  const owed = socket._httpMessage
  if (!socket.writable || (owed?.headersSent && !owed.req.complete)) socket.destroy()
  else if (owed?.req.complete)
    owed.once('close', () => setImmediate(afterOwedAnswers, socket, next))
  else next()
}

function writeTo(socket: Duplex, refusal: AppError, lingerMs: number, log: Log): void {
  const { status, headers, text } = toAnswer(refusal, log)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, '', text]
  const destroy = () => socket.destroy()
  socket.end(head.join('\r\n'), () => setTimeout(destroy, lingerMs).unref())
}

function toAnswer(refusal: AppError, log: Log) {
  const requestId = newRequestId()
  const { status, headers, body } = toErrorAnswer(refusal, requestId)
  const fields = { request_id: requestId, status }
  if (status >= 500) log.error({ ...fields, err: refusal }, 'The request failed')
  else log.info(fields, `Refused a request before it reached the API: ${body.error.message}`)
  const text = JSON.stringify(body)
  const always = {
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(text)),
    'Request-Id': requestId,
    Date: new Date().toUTCString(),
    Connection: 'close',
  }
  return { status, headers: { ...headers, ...always }, text }
}
