import type { Verdict } from './payment.ts'
import type { PayoutVerdict } from './payout.ts'
import type { RefundVerdict } from './refund.ts'

/** A verdict of the provider. `id` is our own id of the object. */
export type News =
  | { object: 'payment'; id: string; verdict: Verdict }
  | { object: 'refund'; id: string; verdict: RefundVerdict }
  | { object: 'payout'; id: string; verdict: PayoutVerdict }
