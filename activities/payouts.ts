import type { PayoutCommand } from '../core/command.ts'
import type { Delivery } from '../core/delivery.ts'
import type { PayoutStatus, PayoutVerdict } from '../core/payout.ts'
import type { Cipher } from '../core/secrets.ts'
import type { Db } from '../db/client.ts'
import { isCommanded, refuseCommand } from '../db/commands.ts'
import {
  findRow,
  markNeedsAttention,
  markSent,
  nextCancelAttempt,
  setProviderRef,
  takeUp,
} from '../db/lifecycle-steps.ts'
import {
  type PayoutRecorded,
  recordedPayout,
  settlePayout,
  startPayout,
} from '../db/payout-steps.ts'
import { openDestination, type PayoutRow } from '../db/payouts.ts'
import { payouts } from '../db/transfer-schema.ts'
import { type Providers, providerFor } from '../providers/index.ts'
import type { ProviderPayout } from '../providers/provider.ts'
import type { Now } from './now.ts'
import { sendOnce, untilAnswered, waitOut } from './provider-calls.ts'

type Deps = { db: Db; providers: Providers; cipher: Cipher; now: Now }

/** What became of a payout. It is recorded already; the deliveries are of the event that tells of it. */
export type PayoutProgress = PayoutSettled | PayoutOpen
export type PayoutSettled = PayoutVerdict & { deliveries: Delivery[] }
type PayoutOpen = {
  status: 'pending' | 'processing'
  deliveries: Delivery[]
  checkInMs: number | null
}

/**
 * Each asks the provider and records its answer at once. Run twice, they find it recorded, and
 * return the first result again.
 */
export function payoutActivities({ db, providers, cipher, now }: Deps) {
  const providerOf = ({ provider }: PayoutRow) => providerFor(providers, provider)

  return {
    /** One that was sent is looked up: there may be news of it, even where it has ended. */
    async sendPayout(payoutId: string): Promise<PayoutProgress> {
      const payout = await takeUp(db, payouts, payoutId)
      return record(payout, payout.status === 'pending' ? await send(payout) : await look(payout))
    },

    /** Until it is something else than `known`. */
    async pollPayout(
      payoutId: string,
      known: PayoutStatus,
      checkInMs: number | null,
    ): Promise<PayoutProgress> {
      return untilAnswered(checkInMs, async () => {
        const payout = await findRow(db, payouts, payoutId)
        const progress = await record(payout, await look(payout))
        return progress.status === known ? null : progress
      })
    },

    /** Canceled only if it has not left yet: otherwise it goes on. */
    async cancelPayout(payoutId: string): Promise<PayoutProgress> {
      const payout = await findRow(db, payouts, payoutId)
      if (payout.status !== 'pending') return record(payout, await look(payout))
      const found = payout.sentAt ? await cancel(payout) : ({ state: 'unsent' } as const)
      if (found.state !== 'unsent') return record(payout, found)
      if (payout.sentAt) await waitOut(payout.sentAt, providerOf(payout).consistencyWindowMs, now)
      const verdict = { status: 'canceled' as const, failureCode: null, ref: null }
      return toProgress(await settlePayout(db, payoutId, verdict, await now()))
    },

    /**
     * Tells a sandbox what to do, while the command is open: one that was refused meanwhile must not
     * return a payout that has just been completed. A command that this does not do is too late, or
     * of a provider that is no sandbox.
     */
    async simulatePayout(
      payoutId: string,
      kind: Exclude<PayoutCommand['kind'], 'cancel'>,
    ): Promise<PayoutProgress> {
      const payout = await findRow(db, payouts, payoutId)
      if (!(await isCommanded(db, payoutId, kind))) return record(payout, await look(payout))
      const verdict: PayoutVerdict =
        kind === 'complete'
          ? { status: 'completed', failureCode: null }
          : { status: 'failed', failureCode: 'declined' }
      const told = providerOf(payout).simulatePayout?.(payoutId, verdict)
      const progress = await record(payout, await (told ?? look(payout)))
      await db.transaction(async (tx) => refuseCommand(tx, payoutId, kind, await now()))
      return progress
    },

    /** For a verdict that somebody else brings: the provider's webhook, or an operator. */
    async settlePayout(payoutId: string, verdict: PayoutVerdict): Promise<PayoutProgress> {
      const told = { ...verdict, ref: null }
      return toProgress(await settlePayout(db, payoutId, told, await now()))
    },

    async parkPayout(payoutId: string): Promise<void> {
      await markNeedsAttention(db, payouts, payoutId, await now())
    },
  }

  async function send(payout: PayoutRow): Promise<ProviderPayout> {
    const { id: payoutId, sendAttempt: attempt, sentAt: at, amount, currency } = payout
    const provider = providerOf(payout)
    return sendOnce<ProviderPayout>({
      sent: { attempt, at },
      consistencyWindowMs: provider.consistencyWindowMs,
      now,
      async lookUp() {
        const found = await look(payout)
        return found.state === 'unsent' ? null : found
      },
      async send(number) {
        const destination = openDestination(cipher, payout)
        await markSent(db, payouts, payoutId, number, await now())
        const key = `${payoutId}:payout:${number}`
        return provider.createPayout({ key, payoutId, amount, currency, destination })
      },
    })
  }

  function look(payout: PayoutRow): Promise<ProviderPayout> {
    return providerOf(payout).retrievePayout(payout.id)
  }

  async function cancel(payout: PayoutRow): Promise<ProviderPayout> {
    const number = await nextCancelAttempt(db, payouts, payout.id)
    return providerOf(payout).cancelPayout(payout.id, `${payout.id}:cancel:${number}`)
  }

  async function record(payout: PayoutRow, found: ProviderPayout): Promise<PayoutProgress> {
    const { id, status, providerRef } = payout
    if (found.state === 'decided') {
      const { verdict, ref } = found
      return toProgress(await settlePayout(db, id, { ...verdict, ref }, await now()))
    }
    const checkInMs = found.state === 'unsent' ? null : found.checkInMs
    if (found.state === 'processing' && status === 'pending')
      return toProgress(await startPayout(db, id, found.ref, await now()), checkInMs)
    if (status !== 'pending') return toProgress(await recordedPayout(db, id), checkInMs)
    if (found.state === 'accepted' && !providerRef) await setProviderRef(db, payouts, id, found.ref)
    return { status, deliveries: [], checkInMs }
  }
}

function toProgress(
  { status, failureCode, deliveries }: PayoutRecorded,
  checkInMs: number | null = null,
): PayoutProgress {
  if (status === 'pending' || status === 'processing') return { status, deliveries, checkInMs }
  return { status, failureCode, deliveries }
}
