import { index, pgTable, text, unique } from 'drizzle-orm/pg-core'
import { type RefundFailureCode, refundLifecycle } from '../../core/lifecycles/refund.ts'
import { atProvider, currency, metadata, newestFirst } from '../columns.ts'
import { lifecycleColumns, lifecycleRules, listRules } from '../lifecycle-table.ts'
import { payments } from '../payments/schema.ts'

export const refunds = pgTable(
  'refunds',
  {
    ...lifecycleColumns(refundLifecycle),
    paymentId: text()
      .notNull()
      .references(() => payments.id),
    currency: currency(),
    reason: text(),
    failureCode: text().$type<RefundFailureCode>(),
    metadata: metadata(),
    ...atProvider(),
  },
  (t) => [
    ...lifecycleRules('refunds', refundLifecycle, t),
    ...listRules('refunds', t),
    unique('refunds_provider_ref_key').on(t.provider, t.providerRef),
    index('refunds_payment_idx').on(t.paymentId, ...newestFirst(t)),
  ],
)
