import { maskVpa } from '../money/vpa.ts'
import type { Moves } from './transitions.ts'

export const payoutStatuses = ['pending', 'processing', 'completed', 'failed', 'canceled'] as const
export type PayoutStatus = (typeof payoutStatuses)[number]

export const payoutVerdicts = ['completed', 'failed', 'canceled'] as const
export type PayoutVerdictStatus = (typeof payoutVerdicts)[number]

/** A payout that is completed can still be returned by the bank that it went to. */
export const payoutMoves: Moves<PayoutStatus> = {
  pending: ['processing', 'completed', 'failed', 'canceled'],
  processing: ['completed', 'failed'],
  completed: ['failed'],
  failed: [],
  canceled: [],
}

/** Why the money did not reach its destination. */
export const payoutFailureCodes = [
  'no_account',
  'account_closed',
  'declined',
  'returned',
  'processing_error',
] as const
export type PayoutFailureCode = (typeof payoutFailureCodes)[number]

/** What a provider says of a payout once it has decided. Only a failure has a code. */
export type PayoutVerdict = { status: PayoutVerdictStatus; failureCode: PayoutFailureCode | null }

/** Where a payout goes. Whole it is only kept encrypted. */
export type Destination =
  | { type: 'vpa'; vpa: string }
  | { type: 'bank_account'; account_number: string; bank_code: string; holder_name: string }

/** What its owner knows it by, and nobody else: shown wherever a payout is. */
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
