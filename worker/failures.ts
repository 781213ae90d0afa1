import { ApplicationFailure, TemporalFailure } from '@temporalio/common'
import type { ActivityInterceptorsFactory } from '@temporalio/worker'
import { AppError } from '../core/errors.ts'
import { scrub } from '../core/scrub.ts'
import { withoutParameters } from '../db/errors.ts'

/**
 * The one place where an error becomes a failure. Temporal does not retry an AppError; of the rest
 * it keeps the message and the stack, so what a query was called with must not be part of them, nor
 * what a provider says of a payer.
 */
export const failureInterceptor: ActivityInterceptorsFactory = () => ({
  inbound: {
    async execute(input, next) {
      try {
        return await next(input)
      } catch (error) {
        if (error instanceof AppError)
          throw ApplicationFailure.nonRetryable(error.message, error.code)
        throw error instanceof TemporalFailure ? error : withoutSecrets(withoutParameters(error))
      }
    },
  },
})

function withoutSecrets(error: unknown): unknown {
  if (!(error instanceof Error)) return scrub(`${error}`)
  const told = Object.assign(new Error(scrub(error.message)), { name: error.name })
  if (error.stack) told.stack = scrub(error.stack)
  if (error.cause !== undefined) told.cause = withoutSecrets(withoutParameters(error.cause))
  return told
}
