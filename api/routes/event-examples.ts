import type { z } from '@hono/zod-openapi'
import type { EventType } from '../../core/webhooks/events.ts'
import { Account } from './account.ts'
import { Invoice } from './invoices.ts'
import { Order } from './orders.ts'
import { PaymentLink } from './payment-links.ts'
import { Payment } from './payments.ts'
import { Payout } from './payouts.ts'
import { Dispute, Subscription } from './planned-resources.ts'
import { Refund } from './refunds.ts'
import { Endpoint } from './webhook-endpoints.ts'

const money = { amount: 50_000, currency: 'INR' }
const created_at = '2026-01-31T09:30:00.000Z'
const times = { created_at, updated_at: '2026-01-31T09:30:08.000Z' }
const fresh = { created_at, updated_at: created_at }
const id = (prefix: string) => `${prefix}_01jzxd4f7ve7q9w4d4pmx6k5hr`

const payment = {
  id: id('pay'),
  object: 'payment',
  status: 'succeeded',
  ...money,
  amount_captured: 50_000,
  amount_refunded: 0,
  method: 'upi',
  order_id: id('ord'),
  capture_method: 'automatic',
  card: null,
  vpa: 'te***@upi',
  failure_code: null,
  failure_message: null,
  needs_attention: false,
  description: null,
  metadata: {},
  ...times,
} as const
const uncaptured = { ...payment, amount_captured: 0 }
const failure = {
  failure_code: 'upi_declined',
  failure_message: 'The payer declined the UPI request.',
} as const
const order = {
  id: id('ord'),
  object: 'order',
  reference: 'ORDER_123',
  status: 'created',
  ...money,
  fulfil_by: '2026-02-07T09:30:00.000Z',
  payment_id: null,
  cancellation_reason: null,
  metadata: {},
  ...times,
} as const
const refund = {
  id: id('re'),
  object: 'refund',
  payment_id: id('pay'),
  ...money,
  status: 'pending',
  reason: 'The size was wrong',
  failure_code: null,
  metadata: {},
  created_at,
} as const
const link = {
  id: id('plink'),
  object: 'payment_link',
  status: 'active',
  ...money,
  url: `https://pay.example/pay/${id('plink')}`,
  description: 'Two cups',
  expires_at: null,
  payment_id: null,
  metadata: {},
  ...times,
} as const
const payout = {
  id: id('po'),
  object: 'payout',
  status: 'pending',
  ...money,
  destination: { type: 'vpa', vpa: 'se***@upi' },
  failure_code: null,
  needs_attention: false,
  description: null,
  metadata: {},
  ...times,
} as const
const invoice = {
  id: id('inv'),
  object: 'invoice',
  number: 17,
  status: 'sent',
  ...money,
  amount_paid: 0,
  amount_overpaid: 0,
  ...times,
} as const
const dispute = {
  id: id('dp'),
  object: 'dispute',
  payment_id: id('pay'),
  status: 'needs_response',
  ...money,
  evidence: null,
  ...times,
} as const
const subscription = {
  id: id('sub'),
  object: 'subscription',
  status: 'active',
  ...money,
  interval: 'month',
  interval_count: 1,
  description: 'Tea for two',
  ...times,
} as const
const account = {
  id: id('mer'),
  object: 'account',
  name: 'Demo Shop',
  metadata: {},
  ...times,
} as const
const endpoint = {
  id: id('we'),
  object: 'webhook_endpoint',
  url: 'https://shop.example/webhooks',
  description: null,
  event_types: null,
  retry_schedule: null,
  status: 'disabled',
  ...times,
} as const

type Noun<Type> = Type extends `${infer N}.${string}` ? N : never
type Past<N extends string, Type = EventType> = Type extends `${N}.${infer P}` ? P : never

/** Pairs the schema of a resource with an example for each of its events. */
function entry<S extends z.ZodType, P extends string>(schema: S, examples: Record<P, z.output<S>>) {
  return { schema, examples }
}

type Example = { id: string; object: string }
type Resources = {
  [N in Noun<EventType>]: { schema: z.ZodType; examples: Record<Past<N>, Example> }
}

/** Maps the first half of event types to the resource. A missing resource does not compile. */
export const eventResources: Resources = {
  payment: entry(Payment, {
    created: { ...uncaptured, status: 'pending', ...fresh },
    authorized: { ...uncaptured, status: 'authorized', capture_method: 'manual' },
    succeeded: payment,
    failed: { ...uncaptured, status: 'failed', ...failure },
    canceled: { ...uncaptured, status: 'canceled' },
  }),
  order: entry(Order, {
    created: { ...order, ...fresh },
    paid: { ...order, status: 'paid', payment_id: id('pay') },
    fulfilled: { ...order, status: 'fulfilled', payment_id: id('pay') },
    canceled: { ...order, status: 'canceled', cancellation_reason: 'requested' },
  }),
  account: entry(Account, { updated: account }),
  webhook_endpoint: entry(Endpoint, { disabled: endpoint }),
  refund: entry(Refund, {
    created: refund,
    succeeded: { ...refund, status: 'succeeded' },
    failed: { ...refund, status: 'failed', failure_code: 'processing_error' },
  }),
  payment_link: entry(PaymentLink, {
    created: { ...link, ...fresh },
    paid: { ...link, status: 'paid', payment_id: id('pay') },
    expired: { ...link, status: 'expired', expires_at: '2026-01-31T09:30:08.000Z' },
    canceled: { ...link, status: 'canceled' },
  }),
  payout: entry(Payout, {
    created: { ...payout, ...fresh },
    processing: { ...payout, status: 'processing' },
    completed: { ...payout, status: 'completed' },
    failed: { ...payout, status: 'failed', failure_code: 'processing_error' },
    canceled: { ...payout, status: 'canceled' },
  }),
  invoice: entry(Invoice, {
    created: { ...invoice, ...fresh },
    partially_paid: { ...invoice, status: 'partially_paid', amount_paid: 20_000 },
    paid: { ...invoice, status: 'paid', amount_paid: 50_000 },
  }),
  dispute: entry(Dispute, {
    created: { ...dispute, ...fresh },
    updated: { ...dispute, status: 'under_review', evidence: { text: 'It was worn.', files: [] } },
    resolved: { ...dispute, status: 'won' },
  }),
  subscription: entry(Subscription, {
    created: { ...subscription, ...fresh },
    updated: { ...subscription, amount: 60_000 },
    past_due: { ...subscription, status: 'past_due' },
    canceled: { ...subscription, status: 'canceled' },
  }),
}
