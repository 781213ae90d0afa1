import { type CommandOf, lifecycle, type StatusOf } from './lifecycle.ts'

export const linkLifecycle = lifecycle({
  object: 'payment_link',
  idPrefix: 'plink',
  workflow: 'paymentLinkLifecycle',
  moves: {
    active: ['paid', 'expired', 'canceled'],
    paid: [],
    expired: [],
    canceled: [],
  },
  open: ['active'],
  staysOpen: 'years',
  commands: {
    close: { from: ['active'], to: 'canceled', done: 'canceled' },
  },
  events: {
    created: 'A payment link was created.',
    paid: 'A payment link was paid.',
    expired: 'A payment link expired unpaid.',
    canceled: 'A payment link was canceled.',
  },
})

export type PaymentLinkStatus = StatusOf<typeof linkLifecycle>
export type LinkCommand = { kind: CommandOf<typeof linkLifecycle> }
