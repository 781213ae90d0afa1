import { type ErrorCode, errorKinds } from '../../core/errors.ts'
import { ErrorBody } from './errors.ts'

const codes = Object.keys(errorKinds) as ErrorCode[]
const statuses = new Set<number>(Object.values(errorKinds).map(({ status }) => status))

/**
 * Maps each response header of the document to its description. `responseHeaders` adds `Request-Id`
 * to every response.
 */
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

/** Pairs each code with an example of its error, as an answer shows it. */
export const errorExamples = codes.map((code) => {
  const message = errorKinds[code].meaning.replaceAll('`', '')
  const request_id = 'req_0b5f0c7f1f3f4f0e9a5d3c2b1a0f9e8d'
  const error = { type: errorKinds[code].type, code, message, param: null, request_id }
  return [code, { summary: code, value: { error } }] as const
})

/**
 * Returns a response per HTTP status, with the possible errors of that status and their examples.
 */
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
    description: its.map((code) => `\`${code}\`: ${errorKinds[code].meaning}`).join('\n\n'),
    headers: responseHeaders(waits),
    content: { 'application/json': { schema: ErrorBody, examples } },
  }
}
