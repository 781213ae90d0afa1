import { defineSignal } from '@temporalio/workflow'
import type { FailedAttempt } from '../../core/webhooks/delivery.ts'

/** The activity sends this signal: a retry leaves no event in the history, but a signal does. */
export const attemptFailed = defineSignal<[FailedAttempt]>('attemptFailed')
