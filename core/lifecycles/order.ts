import type { Moves } from './transitions.ts'

export const orderStatuses = ['created', 'paid', 'fulfilled', 'canceled'] as const
export type OrderStatus = (typeof orderStatuses)[number]

export const orderMoves: Moves<OrderStatus> = {
  created: ['paid', 'canceled'],
  paid: ['fulfilled', 'canceled'],
  fulfilled: [],
  canceled: [],
}

/** Who canceled it: the merchant, or the time by which it was to be paid for and fulfilled. */
export const orderCancellationReasons = ['requested', 'deadline_passed'] as const
export type OrderCancellationReason = (typeof orderCancellationReasons)[number]

/** How long a merchant has to fulfil an order, unless they say otherwise. */
export const FULFIL_WINDOW_MS = 7 * 24 * 60 * 60_000
