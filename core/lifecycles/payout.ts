import { maskVpa } from '../money/vpa.ts'
import { type CommandOf, lifecycle, type StatusOf, withVerdicts } from './lifecycle.ts'

/** The bank that received a completed payout can still return the payout. */
export const payoutLifecycle = withVerdicts(
  lifecycle({
    object: 'payout',
    idPrefix: 'po',
    workflow: 'processPayout',
    moves: {
      pending: ['processing', 'completed', 'failed', 'canceled'],
      processing: ['completed', 'failed'],
      completed: ['failed'],
      failed: [],
      canceled: [],
    },
    open: ['pending', 'processing'],
    staysOpen: 'days',
    commands: {
      cancel: { from: ['pending'], to: 'canceled', done: 'canceled' },
      // The sandbox completes or fails a payout at the merchant's request.
      complete: { from: ['pending', 'processing'], to: 'completed', done: 'completed' },
      fail: { from: ['pending', 'processing', 'completed'], to: 'failed', done: 'failed' },
    },
    events: {
      created: 'A payout was accepted and its funds are held.',
      processing: 'A payout was handed to the provider.',
      completed: 'A payout reached its destination.',
      failed: 'A payout failed or was returned.',
      canceled: 'A payout was canceled.',
    },
  }),
  {
    verdicts: ['completed', 'failed', 'canceled'],
    // A code says why the money did not reach its destination.
    failureCodes: ['no_account', 'account_closed', 'declined', 'returned', 'processing_error'],
    late: {
      completed: { after: ['failed', 'canceled'], booked: ['payout_settlement', 'late_payout'] },
      failed: { after: ['completed'], booked: ['payout_failure'] },
      canceled: null,
    },
  },
)

export type PayoutStatus = StatusOf<typeof payoutLifecycle>
export type PayoutVerdictStatus = (typeof payoutLifecycle.verdicts)[number]
export type PayoutFailureCode = (typeof payoutLifecycle.failureCodes)[number]
export type PayoutCommand = { kind: CommandOf<typeof payoutLifecycle> }

/** The provider's final answer on a payout. Only a failure has a code. */
export type PayoutVerdict = { status: PayoutVerdictStatus; failureCode: PayoutFailureCode | null }

/** A payout goes to this destination. Remit keeps a whole destination only encrypted. */
export type Destination =
  | { type: 'vpa'; vpa: string }
  | { type: 'bank_account'; account_number: string; bank_code: string; holder_name: string }

/** Masks a destination for every answer that shows it: only its owner can recognize it. */
export function maskDestination(destination: Destination): Destination {
  if (destination.type === 'vpa') return { type: 'vpa', vpa: maskVpa(destination.vpa) }
  const { type, account_number, bank_code, holder_name } = destination
  return {
    type,
    account_number: `***${account_number.slice(-Math.min(4, account_number.length / 3))}`,
    bank_code,
    holder_name: holder_name.replace(/(\S)\S*/gu, '$1***'),
  }
}
