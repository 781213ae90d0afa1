import type { Delivery } from '../../core/webhooks/delivery.ts'
import type { EventType } from '../../core/webhooks/events.ts'
import type { Tx } from '../client.ts'

/**
 * An order or a payment link that a payment can be for, as payments see it. Each kind of payable
 * implements this type in its own folder.
 */
export type Payable = {
  noun: string // with an article
  paidEvent: EventType
  /** Returns true if this payment has paid the payable. */
  isPaidBy: (tx: Tx, id: string, paymentId: string) => Promise<boolean>
  /**
   * Runs in the transaction that settles the payment. Returns the deliveries of `paidEvent`, or
   * null if the payable can no longer be paid.
   */
  markPaid: (tx: Tx, id: string, paymentId: string, now: Date) => Promise<Delivery[] | null>
  /**
   * Runs in the transaction that finds money which the payable cannot keep: a payment that
   * succeeded too late, or a refund that came back. Returns false if the payable does not give such
   * money back by itself.
   */
  giveBack: (tx: Tx, id: string, now: Date) => Promise<boolean>
}
