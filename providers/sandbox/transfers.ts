import { randomInt } from 'node:crypto'
import type { Destination, PayoutFailureCode, PayoutVerdict } from '../../core/lifecycles/payout.ts'
import type { RefundFailureCode, RefundVerdict } from '../../core/lifecycles/refund.ts'
import {
  NothingHappened,
  type Provider,
  type ProviderPayout,
  type ProviderRefund,
} from '../provider.ts'
import type { SandboxStore, TransferCircumstances, TransferRow, TransferState } from './store.ts'

export type SandboxOptions = {
  store: SandboxStore
  delay: { minMs: number; maxMs: number }
  now: () => Date | Promise<Date>
}

/** `down@upi` answers 503 this many times to each operation. */
export const TIMES_DOWN = 2

type Transfers = Pick<
  Provider,
  | 'createRefund'
  | 'retrieveRefund'
  | 'createPayout'
  | 'retrievePayout'
  | 'cancelPayout'
  | 'simulatePayout'
>

/** Payouts to these fail with these codes. Stripe documents the same account numbers. */
const payoutFailures: Record<string, PayoutFailureCode> = {
  'fail@upi': 'declined',
  '000111111116': 'no_account',
  '000111111113': 'account_closed',
}
/** Refunds of charges from these sources fail with these codes. */
const refundFailures: Record<string, RefundFailureCode> = {
  'norefund@upi': 'declined',
}
const failures: Record<TransferRow['kind'], Record<string, string>> = {
  refund: refundFailures,
  payout: payoutFailures,
}
/** Transfers to these targets arrive, and come back later. */
const returned = new Set(['returned@upi', 'tok_refund_returned'])
const RETURNED_AFTER_MS = 2_000

/** Sends refunds and payouts: the sandbox decides a transfer by its target, after a delay. */
export function sandboxTransfers({ store, delay, now }: SandboxOptions): Transfers {
  const delayMs = () => randomInt(delay.minMs, delay.maxMs + 1)

  async function find(objectId: string): Promise<TransferRow | null> {
    const at = await now()
    const found = await store.findTransfer(objectId)
    return found && store.changeTransfer(found.id, (transfer) => advanced(transfer, at))
  }

  async function retrievePayout(payoutId: string): Promise<ProviderPayout> {
    return toPayout(await find(payoutId), await now())
  }

  return {
    async createRefund({ key, refundId, chargeRef, amount, currency }) {
      const at = await now()
      const decidesAt = after(at, delayMs())
      const request = { key, kind: 'refund' as const, objectId: refundId, chargeId: chargeRef }
      const sent = await store.createTransfer(
        { ...request, amount, currency, createdAt: at },
        (circumstances) => {
          const state = begin(circumstances, { startsAt: at, decidesAt })
          if (state.status === 'unavailable') return state
          const tooMuch = { status: 'failed' as const, failureCode: 'exceeds_charge' }
          return circumstances.refundable < amount ? { ...state, ...tooMuch } : state
        },
      )
      return toRefund(await answered(sent, () => find(refundId)), at)
    },

    async retrieveRefund(refundId) {
      return toRefund(await find(refundId), await now())
    },

    /** A payout is never decided within the call, just as a bank's transfer is not. */
    async createPayout({ key, payoutId, amount, currency, destination }) {
      const at = await now()
      const wait = delayMs()
      const dates = { startsAt: after(at, Math.floor(wait / 2)), decidesAt: after(at, wait) }
      const target = targetOf(destination)
      const request = { key, kind: 'payout' as const, objectId: payoutId, chargeId: null, target }
      const sent = await store.createTransfer(
        { ...request, amount, currency, createdAt: at },
        (circumstances) => begin(circumstances, dates),
      )
      return toPayout(await answered(sent, async () => started(sent, at)), at)
    },

    retrievePayout,

    async cancelPayout(payoutId) {
      const at = await now()
      const found = await store.findTransfer(payoutId)
      if (!found) return { state: 'unsent' }
      await store.changeTransfer(found.id, (transfer) => {
        const then = { ...transfer, ...advanced(transfer, at) }
        return then.status === 'accepted' ? { status: 'canceled' } : advanced(transfer, at)
      })
      return retrievePayout(payoutId)
    },

    async simulatePayout(payoutId, verdict) {
      const at = await now()
      const found = await store.findTransfer(payoutId)
      if (!found) return { state: 'unsent' }
      await store.changeTransfer(found.id, (transfer) => simulated(transfer, verdict, at))
      return retrievePayout(payoutId)
    },
  }
}

/** Decides an open payout, or marks a completed payout as returned. */
function simulated(
  transfer: TransferRow,
  { status, failureCode }: PayoutVerdict,
  at: Date,
): Partial<TransferState> | null {
  const then = { ...transfer, ...advanced(transfer, at) }
  const isOpen = then.status === 'accepted' || then.status === 'processing'
  if (isOpen && status === 'completed') return { status: 'succeeded', decidesAt: at }
  if (isOpen && status === 'failed') return { status, failureCode, decidesAt: at }
  if (then.status === 'succeeded' && status === 'failed')
    return { status, failureCode: 'returned', returnsAt: at }
  return advanced(transfer, at)
}

/** A UPI address ignores case. An account number only matters if it is for tests. */
function targetOf(destination: Destination): string {
  if (destination.type === 'vpa') return destination.vpa.toLowerCase()
  return destination.account_number in payoutFailures ? destination.account_number : 'account'
}

type Dates = { startsAt: Date; decidesAt: Date }

function begin(
  { target, earlier }: TransferCircumstances,
  { startsAt, decidesAt }: Dates,
): TransferState {
  const unavailable = earlier.filter(({ status }) => status === 'unavailable')
  const isDown = target === 'down@upi' && unavailable.length < TIMES_DOWN
  const comesBack = returned.has(target)
  return {
    status: isDown ? 'unavailable' : 'accepted',
    failureCode: null,
    startsAt,
    decidesAt: target === 'stuck@upi' ? null : decidesAt,
    returnsAt: comesBack ? after(decidesAt, RETURNED_AFTER_MS) : null,
  }
}

/** A key that got a 503 gets a 503 again. A transfer whose answer is lost is sent anyway. */
async function answered<T>(sent: TransferRow, read: () => Promise<T>): Promise<T> {
  if (sent.status === 'unavailable')
    throw new NothingHappened('Sandbox: HTTP 503 Service Unavailable')
  if (sent.target === 'timeout@upi') throw new Error('Sandbox: the answer was lost')
  return read()
}

/** Returns the status and failure code by now, or null if the status has not changed. */
function advanced(transfer: TransferRow, at: Date): Partial<TransferState> | null {
  const now = decided(started(transfer, at), at)
  const isReturned = now.status === 'succeeded' && isPast(transfer.returnsAt, at)
  const { status, failureCode } = isReturned ? failed('returned') : now
  return status === transfer.status ? null : { status, failureCode }
}

function started(transfer: TransferRow, at: Date): TransferRow {
  const starts = transfer.status === 'accepted' && isPast(transfer.startsAt, at)
  return starts ? { ...transfer, status: 'processing' } : transfer
}

function decided(transfer: TransferRow, at: Date): TransferRow {
  if (transfer.status !== 'processing' || !isPast(transfer.decidesAt, at)) return transfer
  const failureCode = failures[transfer.kind][transfer.target]
  return { ...transfer, ...(failureCode ? failed(failureCode) : { status: 'succeeded' }) }
}

function failed(failureCode: string) {
  return { status: 'failed' as const, failureCode }
}

function isPast(date: Date | null, at: Date): boolean {
  return date !== null && date <= at
}

function after(at: Date, ms: number): Date {
  return new Date(at.getTime() + ms)
}

function toRefund(transfer: TransferRow | null, at: Date): ProviderRefund {
  if (!transfer) return { state: 'unsent' }
  const { id: ref, status, failureCode } = transfer
  if (status !== 'succeeded' && status !== 'failed')
    return { state: 'processing', ref, checkInMs: leftUntil(transfer.decidesAt, at) }
  const verdict = { status, failureCode } as RefundVerdict
  return { state: 'decided', ref, verdict }
}

function toPayout(transfer: TransferRow | null, at: Date): ProviderPayout {
  if (!transfer || transfer.status === 'unavailable') return { state: 'unsent' }
  const { id: ref, status, failureCode, startsAt, decidesAt } = transfer
  if (status === 'accepted' || status === 'processing') {
    const next = status === 'accepted' ? startsAt : decidesAt
    return { state: status, ref, checkInMs: leftUntil(next, at) }
  }
  const verdict = { status: status === 'succeeded' ? 'completed' : status, failureCode }
  return { state: 'decided', ref, verdict: verdict as PayoutVerdict }
}

function leftUntil(date: Date | null, at: Date): number | null {
  return date && Math.max(date.getTime() - at.getTime(), 0)
}
