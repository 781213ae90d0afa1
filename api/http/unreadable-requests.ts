import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { RequestError } from '@hono/node-server'
import { AppError } from '../../core/errors.ts'
import type { Log } from '../../log.ts'
import { toErrorAnswer } from './errors.ts'
import { newRequestId } from './request-log.ts'

type Listener = (request: IncomingMessage, response: ServerResponse) => unknown

/**
 * Answers what never becomes a request of the app, and what Node would otherwise answer by itself
 * without a body: headers that are too large, a head that is not HTTP, a request that stalls. Every
 * answer has the API's own shape and a Request-Id, and ends its connection.
 */
export function answerUnreadable(server: Server, log: Log): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (error.code === 'ECONNRESET') socket.destroy()
    else writeTo(socket, toRefusal(error.code ?? ''), log)
  })
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    const message = 'Remove the header Expect, or send "100-continue" as its value.'
    respond(response, new AppError('expectation_failed', message, { param: 'Expect' }), log)
  })
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    const message = 'This server is not a proxy. Send the request without CONNECT.'
    writeTo(socket, new AppError('method_not_allowed', message, { headers: { Allow: '' } }), log)
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

/** `_httpMessage` is the response that Node owes to a request on the socket. */
type HttpSocket = Duplex & { _httpMessage?: (ServerResponse & { req: IncomingMessage }) | null }

function respond(response: ServerResponse, refusal: AppError, log: Log): void {
  const { status, headers, text } = toAnswer(refusal, log)
  response.writeHead(status, headers).end(text)
}

/**
 * Answers on a connection. A request that arrived whole before the unreadable bytes gets its own
 * answer first (RFC 9112, 9.3.2): otherwise its caller would be told that a payment was refused which
 * was made.
 */
function writeTo(socket: HttpSocket, refusal: AppError, log: Log): void {
  const owed = socket._httpMessage
  if (!socket.writable || (owed?.headersSent && !owed.req.complete)) return void socket.destroy()
  if (owed?.req.complete) {
    owed.once('close', () => setImmediate(writeTo, socket, refusal, log))
    return
  }
  const { status, headers, text } = toAnswer(refusal, log)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, '', text]
  socket.on('error', () => {}) // the caller may be gone
  socket.end(head.join('\r\n'))
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
