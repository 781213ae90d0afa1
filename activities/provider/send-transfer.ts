import type { Db } from '../../db/client.ts'
import { markSent, unmarkSent } from '../../db/lifecycle-steps.ts'
import type { payouts } from '../../db/payouts/schema.ts'
import type { refunds } from '../../db/refunds/schema.ts'
import { NothingHappened, type Provider } from '../../providers/provider.ts'
import type { Now } from '../now.ts'
import { sendOnce } from './provider-calls.ts'

/**
 * A call may be on its way for this long. Until then, a look-up that finds nothing proves nothing:
 * a transfer has no id at the provider before it is sent, so the provider cannot fence it. The
 * value is above the time limit of an activity.
 */
export const IN_FLIGHT_MS = 40_000

export function windowOf({ consistencyWindowMs }: Provider): number {
  return Math.max(consistencyWindowMs, IN_FLIGHT_MS)
}

type Row = { id: string; sendAttempt: number; sentAt: Date | null; providerRef: string | null }
type Found = { state: string }

type Transfer<Answer extends Found> = {
  db: Db
  table: typeof refunds | typeof payouts
  row: Row
  operation: string // part of the idempotency key
  provider: Provider
  look: () => Promise<Answer>
  send: (key: string) => Promise<Answer>
  now: Now
}

/** Sends a refund or a payout once: see `sendOnce`. */
export function sendTransfer<Answer extends Found>(transfer: Transfer<Answer>): Promise<Answer> {
  const { db, table, row, operation, provider, look, send, now } = transfer
  const { id, sendAttempt: attempt, sentAt: at } = row
  return sendOnce<Answer>({
    sent: { attempt, at },
    windowMs: windowOf(provider),
    now,
    async lookUp() {
      const found = await look()
      return found.state === 'unsent' ? null : found
    },
    mark: async (number) => markSent(db, table, id, number, await now()),
    async send(number) {
      try {
        return await send(`${id}:${operation}:${number}`)
      } catch (error) {
        if (error instanceof NothingHappened) await unmarkSent(db, table, id, number)
        throw error
      }
    },
  })
}

/**
 * A provider cannot forget a transfer it gave an id to. If the provider claims to, fail: never send
 * the transfer again.
 */
export function known<Answer extends Found>({ id, providerRef }: Row, found: Answer): Answer {
  if (found.state !== 'unsent' || !providerRef) return found
  throw new Error(`The provider no longer finds ${id}, which it knows as ${providerRef}`)
}
