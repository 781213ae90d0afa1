import { boolean, integer, json, pgTable, text, unique } from 'drizzle-orm/pg-core'
import {
  type Destination,
  type PayoutFailureCode,
  payoutLifecycle,
} from '../../core/lifecycles/payout.ts'
import { atProvider, currency, metadata } from '../columns.ts'
import { lifecycleColumns, lifecycleRules, listRules } from '../lifecycle-table.ts'

export const payouts = pgTable(
  'payouts',
  {
    ...lifecycleColumns(payoutLifecycle),
    currency: currency(),
    destination: json().$type<Destination>().notNull(), // masked
    destinationSealed: text().notNull(), // the whole destination, encrypted
    failureCode: text().$type<PayoutFailureCode>(),
    needsAttention: boolean().notNull().default(false),
    description: text(),
    metadata: metadata(),
    ...atProvider(),
    cancelAttempt: integer().notNull().default(0), // part of the idempotency key of the cancel
  },
  (t) => [
    ...lifecycleRules('payouts', payoutLifecycle, t),
    ...listRules('payouts', t),
    unique('payouts_provider_ref_key').on(t.provider, t.providerRef),
  ],
)
