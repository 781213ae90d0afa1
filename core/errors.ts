/**
 * This table has every error that a caller can see: its HTTP status, its type and its meaning. The
 * mapper, the routes and the API document read this table.
 */
export const errorKinds = {
  invalid_request: {
    status: 400,
    type: 'invalid_request_error',
    meaning: 'Something in the request is malformed or not allowed. `param` names the field.',
  },
  unauthorized: {
    status: 401,
    type: 'authentication_error',
    meaning: 'The credentials are missing, wrong or revoked, or do not belong together.',
  },
  secret_key_required: {
    status: 403,
    type: 'permission_error',
    meaning: 'A publishable key came without the secret that belongs to it.',
  },
  not_found: {
    status: 404,
    type: 'invalid_request_error',
    meaning: 'The account has no such object.',
  },
  order_not_found: {
    status: 404,
    type: 'invalid_request_error',
    meaning: 'The account has no such order.',
  },
  method_not_allowed: {
    status: 405,
    type: 'invalid_request_error',
    meaning:
      'The path does not take this method. The header `Allow` lists the methods that it takes.',
  },
  conflict: {
    status: 409,
    type: 'invalid_request_error',
    meaning: 'The object is not in a state that allows this.',
  },
  idempotency_key_in_use: {
    status: 409,
    type: 'idempotency_error',
    meaning: 'Another request with this `Idempotency-Key` is still in progress.',
  },
  order_payment_in_progress: {
    status: 409,
    type: 'invalid_request_error',
    meaning: 'Another payment for the order is in progress.',
  },
  order_already_paid: {
    status: 409,
    type: 'invalid_request_error',
    meaning: 'The order is paid.',
  },
  payment_link_not_active: {
    status: 409,
    type: 'invalid_request_error',
    meaning: 'The payment link is paid, expired or canceled.',
  },
  payment_link_payment_in_progress: {
    status: 409,
    type: 'invalid_request_error',
    meaning: 'Another payment for the payment link is in progress.',
  },
  reference_taken: {
    status: 409,
    type: 'invalid_request_error',
    meaning: 'Another order has this reference.',
  },
  number_taken: {
    status: 409,
    type: 'invalid_request_error',
    meaning: 'Another invoice has this number.',
  },
  event_id_reused: {
    status: 409,
    type: 'invalid_request_error',
    meaning: 'The `event_id` was used for another invoice or amount.',
  },
  last_api_key: {
    status: 409,
    type: 'invalid_request_error',
    meaning: 'The key is the last active one, and without a key nobody could create another.',
  },
  request_timeout: {
    status: 408,
    type: 'invalid_request_error',
    meaning: 'The request did not arrive in time.',
  },
  body_too_large: {
    status: 413,
    type: 'invalid_request_error',
    meaning: 'The body is larger than 1 MiB.',
  },
  unsupported_media_type: {
    status: 415,
    type: 'invalid_request_error',
    meaning: 'The body is not sent as `application/json` in UTF-8, or is compressed.',
  },
  expectation_failed: {
    status: 417,
    type: 'invalid_request_error',
    meaning: 'The header `Expect` has a value other than `100-continue`.',
  },
  idempotency_key_reused: {
    status: 422,
    type: 'idempotency_error',
    meaning: 'The `Idempotency-Key` was used with another request body.',
  },
  capture_exceeds_authorized: {
    status: 422,
    type: 'invalid_request_error',
    meaning: 'The amount is larger than the authorized amount.',
  },
  refund_exceeds_captured: {
    status: 422,
    type: 'invalid_request_error',
    meaning: 'The amount is larger than what is left to refund.',
  },
  insufficient_balance: {
    status: 422,
    type: 'invalid_request_error',
    meaning: 'The available balance does not cover the amount.',
  },
  api_key_limit_reached: {
    status: 422,
    type: 'invalid_request_error',
    meaning: 'The account has the maximum number of active API keys.',
  },
  endpoint_limit_reached: {
    status: 422,
    type: 'invalid_request_error',
    meaning: 'The account has the maximum number of webhook endpoints.',
  },
  order_mismatch: {
    status: 422,
    type: 'invalid_request_error',
    meaning: 'The order has another amount or currency.',
  },
  headers_too_large: {
    status: 431,
    type: 'invalid_request_error',
    meaning: 'The request line and the headers together are larger than 16 KiB.',
  },
  rate_limited: {
    status: 429,
    type: 'rate_limit_error',
    meaning: 'Too many requests came for this API key, or too many payments failed for this link.',
  },
  internal: {
    status: 500,
    type: 'api_error',
    meaning:
      "Something went wrong on our side. Details are in the server's log, under the request id.",
  },
  unavailable: {
    status: 503,
    type: 'api_error',
    meaning:
      'Something that the request needs does not answer right now. Nothing was changed: repeat the request.',
  },
} as const

export type ErrorCode = keyof typeof errorKinds
type Options = ErrorOptions & {
  param?: string | undefined
  headers?: Record<string, string> | undefined
}

/** An AppError refuses a call. Nothing retries the call, because it would be refused again. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly param: string | null // the field that caused the error
  readonly headers: Record<string, string> // headers of the HTTP response, such as Retry-After

  constructor(code: ErrorCode, message: string, { param, headers, ...options }: Options = {}) {
    super(message, options)
    this.code = code
    this.param = param || null
    this.headers = headers ?? {}
  }
}
