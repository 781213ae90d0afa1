import { ApplicationFailure } from '@temporalio/common'
import type { ActivityInterceptorsFactory } from '@temporalio/worker'
import { AppError } from '../core/errors.ts'
import { withoutParameters } from '../db/errors.ts'

/**
 * The one place where an error becomes a failure. Temporal does not retry an AppError; of the rest
 * it keeps the message, so what a query was called with must not be part of it.
 */
export const failureInterceptor: ActivityInterceptorsFactory = () => ({
  inbound: {
    async execute(input, next) {
      try {
        return await next(input)
      } catch (error) {
        if (error instanceof AppError)
          throw ApplicationFailure.nonRetryable(error.message, error.code)
        throw withoutParameters(error)
      }
    },
  },
})
