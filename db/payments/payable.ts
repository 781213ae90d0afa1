import type { Delivery } from '../../core/webhooks/delivery.ts'
import type { EventType } from '../../core/webhooks/events.ts'
import type { Tx } from '../client.ts'

/** What a payment can be for, as payments see it. Each kind of payable fills this in its own room. */
export type Payable = {
  noun: string // with its article
  paidEvent: EventType
  /** Whether this payment is the one that paid it. */
  isPaidBy: (tx: Tx, id: string, paymentId: string) => Promise<boolean>
  /**
   * In the transaction that settles the payment. The deliveries of `paidEvent`; null when it cannot be
   * paid any more.
   */
  markPaid: (tx: Tx, id: string, paymentId: string, now: Date) => Promise<Delivery[] | null>
  /**
   * In the transaction that finds money for it which it cannot keep: a payment that succeeded too late,
   * or a refund that came back. False when it does not give such money back by itself.
   */
  giveBack: (tx: Tx, id: string, now: Date) => Promise<boolean>
}
