import { sql } from 'drizzle-orm'
import {
  boolean,
  check,
  index,
  integer,
  json,
  pgTable,
  text,
  timestamp,
  unique,
} from 'drizzle-orm/pg-core'
import {
  type Destination,
  type PayoutFailureCode,
  payoutStatuses,
} from '../core/lifecycles/payout.ts'
import { type RefundFailureCode, refundStatuses } from '../core/lifecycles/refund.ts'
import {
  createdAt,
  currency,
  isUpper,
  metadata,
  money,
  newestFirst,
  nextSweepAt,
  oneOf,
  openIndex,
  sweepIndex,
  time,
} from './columns.ts'
import { merchantId, payments } from './schema.ts'

/** How far a transfer has got at its provider. */
const atProvider = () => ({
  provider: text().notNull(),
  providerRef: text(), // the provider's own id
  sendAttempt: integer().notNull().default(0), // part of the idempotency key
  sentAt: time(), // of this attempt, stored before it is sent
})

export const refunds = pgTable(
  'refunds',
  {
    id: text().primaryKey(), // re_…, and the id of its workflow
    merchantId: merchantId(),
    paymentId: text()
      .notNull()
      .references(() => payments.id),
    amount: money().notNull(),
    currency: currency(),
    status: text({ enum: refundStatuses }).notNull().default('pending'),
    reason: text(),
    failureCode: text().$type<RefundFailureCode>(),
    metadata: metadata(),
    ...atProvider(),
    nextSweepAt: nextSweepAt(),
    createdAt: createdAt(),
    updatedAt: createdAt(),
  },
  (t) => [
    unique('refunds_provider_ref_key').on(t.provider, t.providerRef),
    index('refunds_list_idx').on(t.merchantId, ...newestFirst(t)),
    index('refunds_status_idx').on(t.merchantId, t.status, ...newestFirst(t)),
    index('refunds_payment_idx').on(t.paymentId, ...newestFirst(t)),
    sweepIndex('refunds_sweep_idx', t.nextSweepAt),
    openIndex('refunds_open_idx', t.id, sql`${t.status} = 'pending'`),
    check('refunds_amount_positive', sql`${t.amount} > 0`),
    check('refunds_currency_upper', isUpper(t.currency)),
    check('refunds_status_known', oneOf(t.status, refundStatuses)),
    check('refunds_failure', sql`(${t.status} = 'failed') = (${t.failureCode} is not null)`),
  ],
)

export const payouts = pgTable(
  'payouts',
  {
    id: text().primaryKey(), // po_…, and the id of its workflow
    merchantId: merchantId(),
    amount: money().notNull(),
    currency: currency(),
    status: text({ enum: payoutStatuses }).notNull().default('pending'),
    destination: json().$type<Destination>().notNull(), // masked
    destinationSealed: text().notNull(), // the whole of it, encrypted
    failureCode: text().$type<PayoutFailureCode>(),
    needsAttention: boolean().notNull().default(false),
    description: text(),
    metadata: metadata(),
    ...atProvider(),
    cancelAttempt: integer().notNull().default(0), // part of the idempotency key of the cancel
    nextSweepAt: nextSweepAt(),
    createdAt: createdAt(),
    updatedAt: createdAt(),
  },
  (t) => [
    unique('payouts_provider_ref_key').on(t.provider, t.providerRef),
    index('payouts_list_idx').on(t.merchantId, ...newestFirst(t)),
    index('payouts_status_idx').on(t.merchantId, t.status, ...newestFirst(t)),
    sweepIndex('payouts_sweep_idx', t.nextSweepAt),
    openIndex('payouts_open_idx', t.id, sql`${t.status} in ('pending', 'processing')`),
    check('payouts_amount_positive', sql`${t.amount} > 0`),
    check('payouts_currency_upper', isUpper(t.currency)),
    check('payouts_status_known', oneOf(t.status, payoutStatuses)),
    check('payouts_failure', sql`(${t.status} = 'failed') = (${t.failureCode} is not null)`),
  ],
)

/** How far the news of each provider have been read. */
export const providerNews = pgTable('provider_news', {
  provider: text().primaryKey(),
  readUntil: timestamp({ withTimezone: true }).notNull(),
})
