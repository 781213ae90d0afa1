/** Every error a caller can see: its HTTP status and its type. */
export const errorKinds = {
  invalid_request: { status: 400, type: 'invalid_request_error' },
  unauthorized: { status: 401, type: 'authentication_error' },
  secret_key_required: { status: 403, type: 'permission_error' },
  not_found: { status: 404, type: 'invalid_request_error' },
  order_not_found: { status: 404, type: 'invalid_request_error' },
  method_not_allowed: { status: 405, type: 'invalid_request_error' },
  conflict: { status: 409, type: 'invalid_request_error' },
  idempotency_key_in_use: { status: 409, type: 'idempotency_error' },
  order_payment_in_progress: { status: 409, type: 'invalid_request_error' },
  order_already_paid: { status: 409, type: 'invalid_request_error' },
  payment_link_not_active: { status: 409, type: 'invalid_request_error' },
  payment_link_payment_in_progress: { status: 409, type: 'invalid_request_error' },
  reference_taken: { status: 409, type: 'invalid_request_error' },
  number_taken: { status: 409, type: 'invalid_request_error' },
  event_id_reused: { status: 409, type: 'invalid_request_error' },
  last_api_key: { status: 409, type: 'invalid_request_error' },
  request_timeout: { status: 408, type: 'invalid_request_error' },
  body_too_large: { status: 413, type: 'invalid_request_error' },
  unsupported_media_type: { status: 415, type: 'invalid_request_error' },
  expectation_failed: { status: 417, type: 'invalid_request_error' },
  idempotency_key_reused: { status: 422, type: 'idempotency_error' },
  capture_exceeds_authorized: { status: 422, type: 'invalid_request_error' },
  refund_exceeds_captured: { status: 422, type: 'invalid_request_error' },
  insufficient_balance: { status: 422, type: 'invalid_request_error' },
  api_key_limit_reached: { status: 422, type: 'invalid_request_error' },
  endpoint_limit_reached: { status: 422, type: 'invalid_request_error' },
  order_mismatch: { status: 422, type: 'invalid_request_error' },
  headers_too_large: { status: 431, type: 'invalid_request_error' },
  rate_limited: { status: 429, type: 'rate_limit_error' },
  internal: { status: 500, type: 'api_error' },
  unavailable: { status: 503, type: 'api_error' },
} as const

export type ErrorCode = keyof typeof errorKinds
type Options = ErrorOptions & {
  param?: string | undefined
  headers?: Record<string, string> | undefined
}

/** A refusal, not an accident: the same call would be refused again, so nothing retries it. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly param: string | null // the field that is to blame
  readonly headers: Record<string, string> // of the HTTP response, such as Retry-After

  constructor(code: ErrorCode, message: string, { param, headers, ...options }: Options = {}) {
    super(message, options)
    this.code = code
    this.param = param || null
    this.headers = headers ?? {}
  }
}
