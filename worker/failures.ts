import { ApplicationFailure, TemporalFailure } from '@temporalio/common'
import type { ActivityInterceptorsFactory } from '@temporalio/worker'
import { AppError } from '../core/errors.ts'
import { scrub } from '../core/scrub.ts'
import { withoutParameters } from '../db/errors.ts'

/**
 * Errors become Temporal failures in this one place. Temporal does not retry an AppError. Temporal
 * keeps the message and the stack of any other error, so neither may contain a query's parameters
 * or a provider's words about a payer.
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
