import { type ErrorCode, errorKinds } from '../../core/errors.ts'
import { ErrorBody } from './errors.ts'

/** What each error means to a caller. The document says it wherever the error can occur. */
const meanings: Record<ErrorCode, string> = {
  invalid_request: 'Something in the request is malformed or not allowed: `param` names the field.',
  unauthorized: 'There are no credentials, or they are wrong or revoked.',
  secret_key_required: 'A publishable key came without the secret that goes with it.',
  not_found: 'You have no such object.',
  order_not_found: 'You have no such order.',
  method_not_allowed: 'The path does not take this method: the header `Allow` lists those it does.',
  conflict: 'The object is not in a state that allows this.',
  idempotency_key_in_use: 'A request with this `Idempotency-Key` is still at work.',
  order_payment_in_progress: 'Another payment for the order is in progress.',
  order_already_paid: 'The order is paid.',
  payment_link_not_active: 'The payment link is paid, expired or canceled.',
  payment_link_payment_in_progress: 'Another payment for the payment link is in progress.',
  reference_taken: 'Another order has this reference.',
  number_taken: 'Another invoice has this number.',
  event_id_reused: 'The `event_id` came before, with another invoice or amount.',
  last_api_key: 'It is your last active key, and nobody could make another.',
  request_timeout: 'The request did not arrive in time.',
  body_too_large: 'The body is larger than 1 MiB.',
  unsupported_media_type: 'The body is not sent as `application/json`, or is compressed.',
  expectation_failed: 'The header `Expect` has a value other than `100-continue`.',
  idempotency_key_reused: 'The `Idempotency-Key` was used with another request body.',
  capture_exceeds_authorized: 'Less than this is authorized.',
  refund_exceeds_captured: 'Less than this is left to refund.',
  insufficient_balance: 'The available balance does not cover it.',
  api_key_limit_reached: 'There are as many active API keys as there may be.',
  endpoint_limit_reached: 'There are as many webhook endpoints as there may be.',
  order_mismatch: "The order's amount or currency is another.",
  headers_too_large: 'The request line and the headers together are larger than 16 KiB.',
  rate_limited: 'Too many requests for this API key, or failed payments for this link.',
  internal: 'Something went wrong on our side. The answer tells nothing, our log does.',
  unavailable:
    'Something that this needs does not answer right now. Nothing was changed: repeat the request.',
}

const codes = Object.keys(meanings) as ErrorCode[]
const statuses = new Set<number>(Object.values(errorKinds).map(({ status }) => status))

/** Response headers of the document, by name. Those of `headers` come with every response. */
export const headerComponents = {
  'Request-Id': 'Names this request, in our logs too.',
  'Idempotent-Replayed': '`true` where this is the first answer to the Idempotency-Key once more.',
  'Retry-After': 'Seconds to wait before the request is repeated.',
  'WWW-Authenticate': '`Bearer`',
}
type HeaderName = keyof typeof headerComponents

const headersOfStatus: Partial<Record<number, HeaderName>> = {
  401: 'WWW-Authenticate',
  429: 'Retry-After',
  503: 'Retry-After',
}

export function responseHeaders(...names: (HeaderName | undefined)[]) {
  const all = ['Request-Id' as const, ...names.filter((name) => name !== undefined)]
  return Object.fromEntries(all.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
}

/** An error of each code, as it is answered. */
export const errorExamples = codes.map((code) => {
  const message = meanings[code].replaceAll('`', '')
  const request_id = 'req_0b5f0c7f1f3f4f0e9a5d3c2b1a0f9e8d'
  const error = { type: errorKinds[code].type, code, message, param: null, request_id }
  return [code, { summary: code, value: { error } }] as const
})

/** A response per HTTP status: which of these errors it can be, and an example of each. */
export function errorResponses(possible: ErrorCode[]) {
  const entries = [...statuses].flatMap((status) => {
    const its = codes.filter(
      (code) => possible.includes(code) && errorKinds[code].status === status,
    )
    return its.length > 0 ? [[status, errorResponse(status, its)] as const] : []
  })
  return Object.fromEntries(entries)
}

function errorResponse(status: number, its: ErrorCode[]) {
  const waits = its.includes('idempotency_key_in_use') ? 'Retry-After' : headersOfStatus[status]
  const examples = Object.fromEntries(
    its.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
  )
  return {
    description: its.map((code) => `\`${code}\`: ${meanings[code]}`).join('\n\n'),
    headers: responseHeaders(waits),
    content: { 'application/json': { schema: ErrorBody, examples } },
  }
}
