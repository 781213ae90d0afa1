import type { Moves } from './transitions.ts'

export const paymentLinkStatuses = ['active', 'paid', 'expired', 'canceled'] as const
export type PaymentLinkStatus = (typeof paymentLinkStatuses)[number]

export const paymentLinkMoves: Moves<PaymentLinkStatus> = {
  active: ['paid', 'expired', 'canceled'],
  paid: [],
  expired: [],
  canceled: [],
}
