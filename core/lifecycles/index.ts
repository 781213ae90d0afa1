import { inboundEventLifecycle } from './invoice.ts'
import { orderLifecycle } from './order.ts'
import { paymentLifecycle } from './payment.ts'
import { linkLifecycle } from './payment-link.ts'
import { payoutLifecycle } from './payout.ts'
import { refundLifecycle } from './refund.ts'

/** Every lifecycle, in the order in which the API's documents list them. */
export const lifecycles = {
  payments: paymentLifecycle,
  refunds: refundLifecycle,
  paymentLinks: linkLifecycle,
  payouts: payoutLifecycle,
  orders: orderLifecycle,
  inboundEvents: inboundEventLifecycle,
} as const

export type LifecycleName = keyof typeof lifecycles
export const lifecycleNames = Object.keys(lifecycles) as LifecycleName[]

const longest = ['days', 'weeks', 'years']
const openFor = (name: LifecycleName) => longest.indexOf(lifecycles[name].staysOpen)

/** The lifecycles whose rows stay open longest come last. */
export const sweepOrder = lifecycleNames.toSorted((a, b) => openFor(a) - openFor(b))
