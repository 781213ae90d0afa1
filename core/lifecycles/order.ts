import { type CommandOf, lifecycle, type StatusOf } from './lifecycle.ts'

export const orderLifecycle = lifecycle({
  object: 'order',
  idPrefix: 'ord',
  workflow: 'orderSaga',
  moves: {
    created: ['paid', 'canceled'],
    paid: ['fulfilled', 'canceled'],
    fulfilled: [],
    canceled: [],
  },
  open: ['created', 'paid'],
  openWhile: 'isCompensating', // the order is canceled, but not fully undone yet
  staysOpen: 'weeks',
  commands: {
    fulfill: { from: ['paid'], to: 'fulfilled', done: 'fulfilled' },
    cancel: { from: ['created', 'paid'], to: 'canceled', done: 'canceled' },
  },
  events: {
    created: 'An order was created.',
    paid: 'An order was paid.',
    fulfilled: 'An order was fulfilled.',
    canceled: 'An order was canceled.',
  },
})

export type OrderStatus = StatusOf<typeof orderLifecycle>
export type OrderCommand = { kind: CommandOf<typeof orderLifecycle> }

/** The merchant canceled the order, or the order was not paid and fulfilled in time. */
export const orderCancellationReasons = ['requested', 'deadline_passed'] as const
export type OrderCancellationReason = (typeof orderCancellationReasons)[number]

/** A merchant has this long to fulfil an order, unless the merchant sets another time. */
export const FULFIL_WINDOW_MS = 7 * 24 * 60 * 60_000
