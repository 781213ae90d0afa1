import { ApplicationFailure, Context } from '@temporalio/activity'
import { pollDelay } from '../../core/webhooks/retry-schedule.ts'
import type { Now } from '../now.ts'

/** `attempt` counts the attempts at a once-only call. `at` is when the last attempt began. */
type Sent = { attempt: number; at: Date | null }

type Steps<Answer> = {
  sent: Sent
  /** A look-up may miss a call for this long after the call was sent. */
  windowMs: number
  /** Returns null if the provider knows nothing of the call. */
  lookUp: () => Promise<Answer | null>
  /** Stores that attempt `number` is about to be sent. The idempotency key contains `number`. */
  mark: (number: number) => Promise<unknown>
  send: (number: number) => Promise<Answer>
  now: Now
}

/**
 * If more than this passes between recording an attempt and sending it, do not send: another worker
 * may have taken over.
 */
const HESITATION_MS = 5_000

/**
 * Sends a call once, however often `sendOnce` runs: it looks the call up before it sends again. The
 * number in the idempotency key rises only if the look-up proves that the provider did nothing
 * under the last number. If the provider had done something, it would treat a new key as a new
 * request, and do the same thing twice.
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

/**
 * Throws until `windowMs` has passed since `sentAt`: until then a look-up may be older than the
 * call. The wait is never longer than `windowMs`, even if a clock was set back.
 */
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
 * Makes an activity fail until the provider has an answer. Retries leave no event in the history;
 * timers would. `checkInMs` puts the first look off to when the provider expects to know. `look`
 * returns null if there is no answer yet.
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

/** Works like `untilAnswered`, but `look` reads our own database. */
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
