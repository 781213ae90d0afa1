import { defineSignal } from '@temporalio/workflow'
import type { FailedAttempt } from '../../core/webhooks/delivery.ts'

/** Sent by the activity itself: a retry leaves no event in the history, a signal does. */
export const attemptFailed = defineSignal<[FailedAttempt]>('attemptFailed')
