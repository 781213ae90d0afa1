import { sql } from 'drizzle-orm'
import { check, index, pgTable, text, unique } from 'drizzle-orm/pg-core'
import { type RefundFailureCode, refundStatuses } from '../../core/lifecycles/refund.ts'
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
import { payments } from '../payments/schema.ts'

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
