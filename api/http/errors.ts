import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { AppError, type ErrorCode, errorKinds } from '../../core/errors.ts'
import { MISSING } from '../../core/issue-message.ts'
import { isUnavailable } from '../../db/errors.ts'

const codes = Object.keys(errorKinds) as [ErrorCode, ...ErrorCode[]]

export const ErrorBody = z
  .object({
    error: z.object({
      type: z.string(),
      code: z.enum(codes),
      message: z.string(),
      param: z.string().nullable().openapi({ description: 'The field that is to blame' }),
      request_id: z.string().openapi({ description: 'The same as the header Request-Id' }),
    }),
  })
  .openapi('Error')

/**
 * Logs an error with status 500 or above. Answers every error with the result of `toErrorAnswer`.
 */
export function handleError(error: Error, c: Context) {
  const { status, headers, body } = toErrorAnswer(error, c.get('requestId'))
  if (status >= 500) {
    const merchant_id = c.get('caller')?.merchantId
    c.get('log').error({ merchant_id, err: error }, `The request failed: ${body.error.code}`)
  }
  return c.json(body, status, headers)
}

/** Every error becomes an answer here. The message of an unexpected error is not shown. */
export function toErrorAnswer(error: Error, request_id: string) {
  const { code, message, param, headers } = toAppError(error)
  const { status, type } = errorKinds[code]
  return { status, headers, body: { error: { type, code, message, param, request_id } } }
}

const RETRY_AFTER = { 'Retry-After': '1' }

function toAppError(error: Error): AppError {
  if (error instanceof AppError) return error
  if (error instanceof z.ZodError) return fromZod(error)
  if (error instanceof HTTPException && error.status < 500)
    return new AppError('invalid_request', 'The request could not be read.', { cause: error })
  if (isUnavailable(error)) {
    const message =
      'The service is not available right now. Repeat the request, with its Idempotency-Key.'
    return new AppError('unavailable', message, { headers: RETRY_AFTER })
  }
  return new AppError('internal', 'Something went wrong on our side.', { cause: error })
}

/** Blames the first field that is wrong, by its name in the request. */
function fromZod(error: z.ZodError): AppError {
  const [first] = error.issues
  // A number above 2^53 exceeds zod's own limit first, and then the schema's limit. The caller must
  // know the schema's limit.
  const issue = error.issues.findLast(
    (each) => each === first || (each.code === 'too_big' && `${each.path}` === `${first?.path}`),
  )
  if (!issue) return new AppError('invalid_request', 'The request is invalid.')
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : []
  const param = shortened([...issue.path, ...unknown].join('.'))
  return new AppError('invalid_request', sentenceOf(issue, param), { param })
}

const PARAM_MAX_CHARS = 200

/**
 * A name in a request may be as long as the body. The answer repeats only the start of a long name.
 */
function shortened(param: string): string {
  return param.length > PARAM_MAX_CHARS ? `${param.slice(0, PARAM_MAX_CHARS)}…` : param
}

function sentenceOf(issue: z.core.$ZodIssue, param: string): string {
  if (issue.code === 'unrecognized_keys')
    return `Unknown field: ${param}. Leave it out, or correct its name.`
  if (issue.message === MISSING && param) return `Missing field: ${param}.`
  const sentence = issue.message.endsWith('.') ? issue.message : `${issue.message}.`
  return param ? `${param}: ${sentence}` : sentence
}
