import { isOpenStatus } from '../core/lifecycles/lifecycle.ts'
import {
  type PayoutCommand,
  type PayoutStatus,
  type PayoutVerdict,
  payoutLifecycle,
} from '../core/lifecycles/payout.ts'
import type { Cipher } from '../core/secrets.ts'
import type { Delivery } from '../core/webhooks/delivery.ts'
import type { Db } from '../db/client.ts'
import {
  claimRow,
  clearNews,
  findRow,
  markNeedsAttention,
  markSent,
  nextCancelAttempt,
  setProviderRef,
} from '../db/lifecycle-steps.ts'
import { openDestination, type PayoutRow } from '../db/payouts/payouts.ts'
import { payouts } from '../db/payouts/schema.ts'
import {
  type PayoutRecorded,
  recordedPayout,
  settlePayout,
  startPayout,
} from '../db/payouts/steps.ts'
import { findOpenCommand, refuseCommand } from '../db/requests/commands.ts'
import { type Providers, providerFor } from '../providers/index.ts'
import type { Provider, ProviderPayout } from '../providers/provider.ts'
import type { Now } from './now.ts'
import { untilAnswered, waitOut } from './provider/provider-calls.ts'
import { known, sendTransfer, windowOf } from './provider/send-transfer.ts'

type Deps = { db: Db; providers: Providers; cipher: Cipher; now: Now }

/** A payout's recorded state. `deliveries` are those of the event emitted with this state. */
export type PayoutProgress = PayoutSettled | PayoutOpen
type PayoutSettled = PayoutVerdict & { deliveries: Delivery[] }
type PayoutOpen = {
  status: 'pending' | 'processing'
  deliveries: Delivery[]
  checkInMs: number | null
}

/**
 * An activity that asks the provider records the answer at once. A repeated call finds the answer
 * recorded and returns the first result again.
 */
export function payoutActivities(deps: Deps) {
  const { db, now } = deps
  return {
    /**
     * Sends a payout with status "pending". Any other payout is looked up: even if it has ended,
     * there may be a late success or late failure.
     */
    async sendPayout(payoutId: string): Promise<PayoutProgress> {
      const payout = await claimRow(db, payouts, payoutId)
      if (payout.status === 'pending') return submit(deps, payout)
      const progress = await record(deps, payout, await look(deps, payout))
      await clearNews(db, payouts, payoutId)
      return progress
    },

    /** Asks the provider until the payout's status is no longer `known`. */
    async pollPayout(
      payoutId: string,
      known: PayoutStatus,
      checkInMs: number | null,
    ): Promise<PayoutProgress> {
      return untilAnswered(checkInMs, async () => {
        const payout = await findRow(db, payouts, payoutId)
        const progress = await record(deps, payout, await look(deps, payout))
        return progress.status === known ? null : progress
      })
    },

    /** Cancels a payout that has not left yet. A payout that has left goes on. */
    async cancelPayout(payoutId: string): Promise<PayoutProgress> {
      const payout = await findRow(db, payouts, payoutId)
      if (payout.status !== 'pending') return record(deps, payout, await look(deps, payout))
      return cancel(deps, payout)
    },

    /**
     * Tells a sandbox to complete or fail a payout, while the command is open. A command that was
     * refused meanwhile must not return a payout that has just been completed. A command that is
     * still open afterwards is refused: it came too late, or the provider is no sandbox.
     */
    async simulatePayout(
      payoutId: string,
      kind: Exclude<PayoutCommand['kind'], 'cancel'>,
    ): Promise<PayoutProgress> {
      const payout = await findRow(db, payouts, payoutId)
      if (!(await findOpenCommand(db, payoutId, kind)))
        return record(deps, payout, await look(deps, payout))
      const verdict: PayoutVerdict =
        kind === 'complete'
          ? { status: 'completed', failureCode: null }
          : { status: 'failed', failureCode: 'declined' }
      const told = providerOf(deps, payout).simulatePayout?.(payoutId, verdict)
      const progress = await record(deps, payout, await (told ?? look(deps, payout)))
      await db.transaction(async (tx) => refuseCommand(tx, payoutId, kind, await now()))
      return progress
    },

    /**
     * Records a verdict from an operator or from the signal `payoutSettled`. If the provider
     * answers with a verdict, that verdict is recorded instead.
     */
    async settlePayout(payoutId: string, verdict: PayoutVerdict): Promise<PayoutProgress> {
      const payout = await findRow(db, payouts, payoutId)
      const found = await look(deps, payout).catch(() => null)
      if (found?.state === 'decided') return record(deps, payout, found)
      const told = { ...verdict, ref: null }
      return toProgress(await settlePayout(db, payoutId, told, await now()))
    },

    async parkPayout(payoutId: string): Promise<void> {
      await markNeedsAttention(db, payouts, payoutId, await now())
    },
  }
}

function providerOf({ providers }: Deps, { provider }: PayoutRow): Provider {
  return providerFor(providers, provider)
}

/** Sends a payout, unless it was canceled before its first attempt while no workflow ran. */
async function submit(deps: Deps, payout: PayoutRow): Promise<PayoutProgress> {
  const { db } = deps
  const isUnwanted = payout.sendAttempt === 0 && (await findOpenCommand(db, payout.id, 'cancel'))
  return isUnwanted ? cancel(deps, payout) : record(deps, payout, await send(deps, payout))
}

function send(deps: Deps, payout: PayoutRow): Promise<ProviderPayout> {
  const { db, cipher, now } = deps
  const { id: payoutId, amount, currency } = payout
  const provider = providerOf(deps, payout)
  const destination = openDestination(cipher, payout)
  return sendTransfer<ProviderPayout>({
    db,
    table: payouts,
    row: payout,
    operation: 'payout',
    provider,
    now,
    look: () => look(deps, payout),
    send: (key) => provider.createPayout({ key, payoutId, amount, currency, destination }),
  })
}

async function look(deps: Deps, payout: PayoutRow): Promise<ProviderPayout> {
  return known(payout, await providerOf(deps, payout).retrievePayout(payout.id))
}

/** If the provider does not know the payout, uses up the next attempt, so that nobody sends it. */
async function cancel(deps: Deps, payout: PayoutRow): Promise<PayoutProgress> {
  const { db, now } = deps
  const { id, sendAttempt, sentAt } = payout
  const found = sendAttempt > 0 ? await cancelAtProvider(deps, payout) : null
  if (found && found.state !== 'unsent') return record(deps, payout, found)
  if (sentAt) await waitOut(sentAt, windowOf(providerOf(deps, payout)), now)
  await markSent(db, payouts, id, sendAttempt + 1, await now())
  const verdict = { status: 'canceled' as const, failureCode: null, ref: null }
  return toProgress(await settlePayout(db, id, verdict, await now()))
}

async function cancelAtProvider(deps: Deps, payout: PayoutRow): Promise<ProviderPayout> {
  const { db } = deps
  const number = await nextCancelAttempt(db, payouts, payout.id)
  const key = `${payout.id}:cancel:${number}`
  return known(payout, await providerOf(deps, payout).cancelPayout(payout.id, key))
}

async function record(
  deps: Deps,
  payout: PayoutRow,
  found: ProviderPayout,
): Promise<PayoutProgress> {
  const { db, now } = deps
  const { id, status, providerRef } = payout
  if (found.state === 'decided') {
    const verdict = status === 'processing' ? toFailure(found.verdict) : found.verdict
    return toProgress(await settlePayout(db, id, { ...verdict, ref: found.ref }, await now()))
  }
  const checkInMs = found.state === 'unsent' ? null : found.checkInMs
  if (found.state === 'processing' && status === 'pending')
    return toProgress(await startPayout(db, id, found.ref, await now()), checkInMs)
  if (status !== 'pending') return toProgress(await recordedPayout(db, id), checkInMs)
  if (found.state === 'accepted' && !providerRef) await setProviderRef(db, payouts, id, found.ref)
  return { status, deliveries: [], checkInMs }
}

/** A payout that was on its way and is then canceled has not arrived: record a failure. */
function toFailure(verdict: PayoutVerdict): PayoutVerdict {
  return verdict.status === 'canceled'
    ? { status: 'failed', failureCode: 'processing_error' }
    : verdict
}

function toProgress(
  { status, failureCode, deliveries }: PayoutRecorded,
  checkInMs: number | null = null,
): PayoutProgress {
  if (isOpenStatus(payoutLifecycle, status)) return { status, deliveries, checkInMs }
  return { status, failureCode, deliveries }
}
