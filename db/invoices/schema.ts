import { sql } from 'drizzle-orm'
import { bigint, check, index, pgTable, text, unique } from 'drizzle-orm/pg-core'
import { inboundEventLifecycle, invoiceStatuses } from '../../core/lifecycles/invoice.ts'
import { createdAt, currency, isUpper, money, newestFirst, oneOf, time } from '../columns.ts'
import { lifecycleColumns, lifecycleRules, listRules } from '../lifecycle-table.ts'
import { merchantId } from '../merchants/schema.ts'

export const invoices = pgTable(
  'invoices',
  {
    id: text().primaryKey(), // inv_…
    merchantId: merchantId(),
    number: bigint({ mode: 'number' }).notNull(), // the merchant's own number
    amount: money().notNull(),
    amountPaid: money().notNull().default(0), // everything that came in, overpayment included
    currency: currency(),
    status: text({ enum: invoiceStatuses }).notNull().default('sent'),
    createdAt: createdAt(),
    updatedAt: createdAt(),
  },
  (t) => [
    unique('invoices_number_key').on(t.merchantId, t.number),
    ...listRules('invoices', t),
    check('invoices_number_positive', sql`${t.number} > 0`),
    check('invoices_amount_positive', sql`${t.amount} > 0`),
    check('invoices_currency_upper', isUpper(t.currency)),
    check('invoices_status_known', oneOf(t.status, invoiceStatuses)),
    check(
      'invoices_status_by_total',
      sql`${t.status} = case
        when ${t.amountPaid} >= ${t.amount} then 'paid'
        when ${t.amountPaid} > 0 then 'partially_paid'
        else 'sent' end`,
    ),
  ],
)

/**
 * An inbound event is a payment that another system reports. An applied event is the record of its
 * payment.
 */
export const inboundEvents = pgTable(
  'inbound_events',
  {
    ...lifecycleColumns(inboundEventLifecycle),
    eventId: text().notNull(), // the sender's own id
    invoiceId: text()
      .notNull()
      .references(() => invoices.id),
    toldBy: text(), // the emitted event, which is not kept as long
    appliedAt: time(),
  },
  (t) => [
    ...lifecycleRules('inbound_events', inboundEventLifecycle, t),
    unique('inbound_events_event_key').on(t.merchantId, t.eventId),
    index('inbound_events_invoice_idx').on(t.invoiceId, ...newestFirst(t)),
    check('inbound_events_applied', sql`(${t.status} = 'applied') = (${t.appliedAt} is not null)`),
  ],
)
