import { sql } from 'drizzle-orm'
import {
  type AnyPgColumn,
  boolean,
  char,
  check,
  index,
  integer,
  pgTable,
  text,
  unique,
  uniqueIndex,
} from 'drizzle-orm/pg-core'
import { orderCancellationReasons, orderLifecycle } from '../../core/lifecycles/order.ts'
import {
  captureMethods,
  type FailureCode,
  paymentLifecycle,
  paymentMethods,
} from '../../core/lifecycles/payment.ts'
import { linkLifecycle } from '../../core/lifecycles/payment-link.ts'
import { currency, metadata, money, newestFirst, time } from '../columns.ts'
import { lifecycleColumns, lifecycleRules, listRules } from '../lifecycle-table.ts'

// Orders and payment links are in this file too, because they and payments refer to each other.

export const orders = pgTable(
  'orders',
  {
    ...lifecycleColumns(orderLifecycle),
    reference: text(), // the merchant's own id
    currency: currency(),
    fulfilBy: time().notNull(),
    paymentId: text().references((): AnyPgColumn => payments.id), // the payment that paid it
    cancellationReason: text({ enum: orderCancellationReasons }),
    isCompensating: boolean().notNull().default(false), // canceled, but not fully undone yet
    metadata: metadata(),
  },
  (t) => [
    ...lifecycleRules('orders', orderLifecycle, t),
    ...listRules('orders', t),
    unique('orders_reference_key').on(t.merchantId, t.reference),
    check(
      'orders_paid',
      sql`${t.status} not in ('paid', 'fulfilled') or ${t.paymentId} is not null`,
    ),
    check(
      'orders_canceled',
      sql`(${t.status} = 'canceled') = (${t.cancellationReason} is not null)`,
    ),
    check('orders_compensating', sql`${t.status} = 'canceled' or not ${t.isCompensating}`),
  ],
)

export const paymentLinks = pgTable(
  'payment_links',
  {
    ...lifecycleColumns(linkLifecycle),
    currency: currency(),
    url: text().notNull(),
    description: text(),
    expiresAt: time(), // a link with null never expires
    paymentId: text().references((): AnyPgColumn => payments.id), // the payment that paid it
    metadata: metadata(),
  },
  (t) => [
    ...lifecycleRules('payment_links', linkLifecycle, t),
    ...listRules('payment_links', t),
    check('payment_links_paid', sql`(${t.status} = 'paid') = (${t.paymentId} is not null)`),
  ],
)

export const payments = pgTable(
  'payments',
  {
    ...lifecycleColumns(paymentLifecycle),
    orderId: text().references(() => orders.id),
    paymentLinkId: text().references(() => paymentLinks.id),
    amountCaptured: money().notNull().default(0),
    amountRefunded: money().notNull().default(0),
    currency: currency(),
    method: text({ enum: paymentMethods }).notNull(),
    captureMethod: text({ enum: captureMethods }).notNull(),
    vpa: text(),
    cardToken: text(), // the provider's token; the card number is never stored
    cardBrand: text(),
    cardLast4: char({ length: 4 }),
    failureCode: text().$type<FailureCode>(),
    needsAttention: boolean().notNull().default(false),
    description: text(),
    metadata: metadata(),
    provider: text().notNull(),
    providerRef: text(), // the provider's id, stored before anything is charged
    chargeAttempt: integer().notNull().default(0), // part of the idempotency key of the charge
    chargeSentAt: time(), // time of attempt `chargeAttempt`, stored before that attempt is sent
    authorizedAt: time(), // the seven days to capture begin then
    captureAttempt: integer().notNull().default(0), // like `chargeAttempt`, but for the capture
    captureSentAt: time(),
    captureAmount: money(), // every attempt requests the amount of the first one
    cancelAttempt: integer().notNull().default(0), // part of the idempotency key of the cancel
  },
  (t) => [
    ...lifecycleRules('payments', paymentLifecycle, t),
    ...listRules('payments', t),
    unique('payments_provider_ref_key').on(t.provider, t.providerRef),
    uniqueIndex('payments_open_order_key')
      .on(t.orderId)
      .where(sql`${t.status} not in ('failed', 'canceled')`),
    uniqueIndex('payments_open_link_key')
      .on(t.paymentLinkId)
      .where(sql`${t.status} not in ('failed', 'canceled')`),
    index('payments_order_idx').on(t.orderId, ...newestFirst(t)),
    index('payments_link_idx').on(t.paymentLinkId, ...newestFirst(t)),
    check('payments_for_one', sql`num_nonnulls(${t.orderId}, ${t.paymentLinkId}) <= 1`),
    check('payments_captured_within', sql`${t.amountCaptured} between 0 and ${t.amount}`),
    check('payments_refunded_within', sql`${t.amountRefunded} between 0 and ${t.amountCaptured}`),
    check(
      'payments_captured', // a payment with a late success stays closed, but was captured
      sql`${t.status} in ('failed', 'canceled') or (${t.status} = 'succeeded') = (${t.amountCaptured} > 0)`,
    ),
    check('payments_method_upi', sql`(${t.method} = 'upi') = (${t.vpa} is not null)`),
    check('payments_method_card', sql`(${t.method} = 'card') = (${t.cardToken} is not null)`),
  ],
)
