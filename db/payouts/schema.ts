import { sql } from 'drizzle-orm'
import { boolean, check, index, integer, json, pgTable, text, unique } from 'drizzle-orm/pg-core'
import {
  type Destination,
  type PayoutFailureCode,
  payoutStatuses,
} from '../../core/lifecycles/payout.ts'
import {
  atProvider,
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
} from '../columns.ts'
import { merchantId } from '../merchants/schema.ts'

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
