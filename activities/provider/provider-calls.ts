import { ApplicationFailure, Context } from '@temporalio/activity'
import { pollDelay } from '../../core/webhooks/retry-schedule.ts'
import type { Now } from '../now.ts'

/** What is known here of a call that must have its effect once: its attempts, and the last one's time. */
type Sent = { attempt: number; at: Date | null }

type Steps<Answer> = {
  sent: Sent
  /** How long after it was sent a look-up may not know of it. */
  windowMs: number
  /** What the provider knows of it; null: nothing. */
  lookUp: () => Promise<Answer | null>
  /** Stores that this attempt is about to be made: its number goes into its key. */
  mark: (number: number) => Promise<unknown>
  send: (number: number) => Promise<Answer>
  now: Now
}

/** Whoever was held up for longer between storing an attempt and making it must not make it. */
const HESITATION_MS = 5_000

/**
 * Sends once, however often it runs: it looks before it sends again. The number in the idempotency key
 * rises only if the look-up proves that the provider did nothing under the last number. A provider that did
 * something would treat a new key as a new request, and do it twice.
 */
export async function sendOnce<Answer>(steps: Steps<Answer>): Promise<Answer> {
  const { sent, windowMs, lookUp, mark, send, now } = steps
  if (sent.attempt > 0) {
    const found = await lookUp()
    if (found) return found
    if (sent.at) await waitOut(sent.at, windowMs, now)
  }
  const number = sent.attempt + 1
  const markedAt = await now()
  await mark(number)
  if ((await now()).getTime() - markedAt.getTime() > HESITATION_MS)
    throw new Error(`Attempt ${number} was held up, and is not made`)
  return send(number)
}

/** A look-up right after the call may be older than the call. No longer, where a clock was set back. */
export async function waitOut(sentAt: Date, windowMs: number, now: Now): Promise<void> {
  const leftMs = Math.min(sentAt.getTime() + windowMs - (await now()).getTime(), windowMs)
  if (leftMs <= 0) return
  throw ApplicationFailure.create({
    type: 'NotKnownYet',
    message: 'The provider may not know of it yet',
    nextRetryDelay: leftMs,
  })
}

/**
 * For an activity that fails until the provider has an answer: its retries leave no event in the
 * history, timers would. The first look is put off to when the provider itself expects to know. Null
 * from `look` is no answer yet.
 */
export async function untilAnswered<Answer>(
  checkInMs: number | null,
  look: () => Promise<Answer | null>,
): Promise<Answer> {
  const { attempt } = Context.current().info
  if (attempt === 1 && checkInMs) throw stillDeciding(checkInMs)
  const answer = await look()
  if (answer) return answer
  throw stillDeciding(pollDelay(checkInMs ? attempt - 1 : attempt))
}

const OWN_POLL_MAX_MS = 60_000

/** As `untilAnswered`, of what our own database says. */
export async function untilEnded<Answer>(look: () => Promise<Answer | null>): Promise<Answer> {
  const answer = await look()
  if (answer !== null) return answer
  const { attempt } = Context.current().info
  throw ApplicationFailure.create({
    type: 'StillUnderWay',
    message: 'It has not ended yet',
    category: 'BENIGN',
    nextRetryDelay: Math.min(pollDelay(attempt), OWN_POLL_MAX_MS),
  })
}

export function stillDeciding(inMs: number) {
  return ApplicationFailure.create({
    type: 'StillDeciding',
    message: 'The provider is still deciding',
    category: 'BENIGN',
    nextRetryDelay: inMs,
  })
}
