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
  openWhile: 'isCompensating', // canceled, and not all of it is undone yet
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

/** Who canceled it: the merchant, or the time by which it was to be paid for and fulfilled. */
export const orderCancellationReasons = ['requested', 'deadline_passed'] as const
export type OrderCancellationReason = (typeof orderCancellationReasons)[number]

/** How long a merchant has to fulfil an order, unless they say otherwise. */
export const FULFIL_WINDOW_MS = 7 * 24 * 60 * 60_000
