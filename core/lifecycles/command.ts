import type { OrderStatus } from './order.ts'
import type { PaymentVerdict } from './payment.ts'
import type { PaymentLinkStatus } from './payment-link.ts'
import type { PayoutVerdictStatus } from './payout.ts'

/**
 * What can be asked of a resource that lives: each is an update of its workflow. `complete` and `fail`
 * are what a sandbox payout is told, `close` is how a payment link is canceled.
 */
export const commandKinds = ['capture', 'cancel', 'complete', 'fail', 'fulfill', 'close'] as const
export type CommandKind = (typeof commandKinds)[number]

/** `refused`: it came too late, and something else has happened to the resource. */
export const commandStatuses = ['open', 'done', 'refused'] as const

/** A command on a payment: `capture` takes `amount`, in minor units; null is all of it. */
export type PaymentCommand = { kind: 'capture'; amount: number | null } | { kind: 'cancel' }

export type PayoutCommand = { kind: 'cancel' | 'complete' | 'fail' }

/** Which command on a payment is done when the payment ends so. Any other has come too late. */
export const commandDoneBy = {
  succeeded: 'capture',
  canceled: 'cancel',
  failed: null,
} as const satisfies Record<PaymentVerdict, CommandKind | null>

/** The same of a payout. */
export const payoutCommandDoneBy = {
  completed: 'complete',
  failed: 'fail',
  canceled: 'cancel',
} as const satisfies Record<PayoutVerdictStatus, CommandKind>

export type OrderCommand = { kind: 'fulfill' | 'cancel' }

export type LinkCommand = { kind: 'close' }

/** The same of an order. */
export const orderCommandDoneBy = {
  fulfilled: 'fulfill',
  canceled: 'cancel',
} as const satisfies Partial<Record<OrderStatus, CommandKind>>

/** The same of a payment link. */
export const linkCommandDoneBy = {
  paid: null,
  expired: null,
  canceled: 'close',
} as const satisfies Record<Exclude<PaymentLinkStatus, 'active'>, CommandKind | null>
