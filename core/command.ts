import type { PaymentVerdict } from './payment.ts'

/** What a merchant can ask of a resource that lives: each is an update of its workflow. */
export const commandKinds = ['capture', 'cancel'] as const
export type CommandKind = (typeof commandKinds)[number]

/** `refused`: it came too late, and something else has happened to the resource. */
export const commandStatuses = ['open', 'done', 'refused'] as const

/** A command on a payment: `capture` takes `amount`, in minor units; null is all of it. */
export type PaymentCommand = { kind: 'capture'; amount: number | null } | { kind: 'cancel' }

/** Which command on a payment is done when the payment ends so. Any other has come too late. */
export const commandDoneBy = {
  succeeded: 'capture',
  canceled: 'cancel',
  failed: null,
} as const satisfies Record<PaymentVerdict, CommandKind | null>
