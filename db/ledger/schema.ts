import { sql } from 'drizzle-orm'
import { check, index, pgTable, primaryKey, text, unique } from 'drizzle-orm/pg-core'
import {
  type Account,
  balanceTransactionTypes,
  merchantAccounts,
  platformAccounts,
} from '../../core/money/ledger.ts'
import { createdAt, currency, money, newestFirst, oneOf } from '../columns.ts'
import { merchantId } from '../merchants/schema.ts'

/**
 * Only merchant accounts keep a balance. A balance of a platform account would be one hot row,
 * which would slow every payment.
 */
export const ledgerAccounts = pgTable(
  'ledger_accounts',
  {
    merchantId: merchantId(),
    account: text({ enum: merchantAccounts }).notNull(),
    currency: currency(),
    balance: money().notNull().default(0),
  },
  (t) => [
    primaryKey({ columns: [t.merchantId, t.account, t.currency] }),
    check('ledger_accounts_never_negative', sql`${t.balance} >= 0`),
    check('ledger_accounts_account_known', oneOf(t.account, merchantAccounts)),
  ],
)

export const balanceTransactions = pgTable(
  'balance_transactions',
  {
    id: text().primaryKey(), // txn_…
    merchantId: merchantId(),
    type: text({ enum: balanceTransactionTypes }).notNull(),
    sourceId: text().notNull(),
    currency: currency(),
    // A trigger compares `xactId`, so that no posting is added later.
    xactId: text().notNull().default(sql`pg_current_xact_id()::text`),
    createdAt: createdAt(),
  },
  (t) => [
    unique('balance_transactions_source_key').on(t.sourceId, t.type),
    index('balance_transactions_list_idx').on(t.merchantId, ...newestFirst(t)),
    index('balance_transactions_type_idx').on(t.merchantId, t.type, ...newestFirst(t)),
    check('balance_transactions_type_known', oneOf(t.type, balanceTransactionTypes)),
  ],
)

/**
 * Triggers in 0001_ledger_rules.sql keep postings immutable, and the postings of each transaction
 * in balance.
 */
export const ledgerPostings = pgTable(
  'ledger_postings',
  {
    transactionId: text()
      .notNull()
      .references(() => balanceTransactions.id),
    account: text().$type<Account>().notNull(),
    amount: money().notNull(), // signed
  },
  (t) => [
    primaryKey({ columns: [t.transactionId, t.account] }),
    check('ledger_postings_not_zero', sql`${t.amount} <> 0`),
    check(
      'ledger_postings_account_known',
      oneOf(t.account, [...merchantAccounts, ...platformAccounts]),
    ),
  ],
)
