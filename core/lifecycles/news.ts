import type { Verdict } from './payment.ts'
import type { PayoutVerdict } from './payout.ts'
import type { RefundVerdict } from './refund.ts'

/** What the provider has decided, by our own ids. */
export type News =
  | { object: 'payment'; id: string; verdict: Verdict }
  | { object: 'refund'; id: string; verdict: RefundVerdict }
  | { object: 'payout'; id: string; verdict: PayoutVerdict }
