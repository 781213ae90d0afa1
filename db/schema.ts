import { type SQL, sql } from 'drizzle-orm'
import {
  type AnyPgColumn,
  bigint,
  boolean,
  char,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
  uniqueIndex,
} from 'drizzle-orm/pg-core'
import { attemptStates, deliveryStatuses, endpointStatuses } from '../core/delivery.ts'
import type { EventType } from '../core/events.ts'
import { type Account, balanceTransactionTypes, merchantAccounts } from '../core/ledger.ts'
import { orderStatuses } from '../core/order.ts'
import {
  captureMethods,
  type FailureCode,
  paymentMethods,
  paymentStatuses,
} from '../core/payment.ts'
import { sandboxStatuses } from '../core/sandbox.ts'

const time = () => timestamp({ withTimezone: true })
const createdAt = () => time().notNull()
const money = () => bigint({ mode: 'number' }) // in minor units, like every amount here
const currency = () => char({ length: 3 }).notNull()
const metadata = () => jsonb().$type<Record<string, string>>().notNull().default({})
const merchantId = () =>
  text()
    .notNull()
    .references(() => merchants.id)

/** Set until the row's workflow has taken it up: only what never started is ever swept. */
const nextSweepAt = time

function sweepIndex(name: string, column: AnyPgColumn) {
  return index(name).on(column).where(sql`${column} is not null`)
}

/** Where `reconcile` looks: what is open, was taken up, and may have lost its workflow. */
function openIndex(name: string, column: AnyPgColumn, open: SQL) {
  return index(name).on(column).where(open)
}

/** The values of an enum as SQL. They are constants of ours, so there is nothing to escape. */
function oneOf(column: AnyPgColumn, values: readonly string[]): SQL {
  return sql`${column} in (${sql.raw(values.map((value) => `'${value}'`).join(', '))})`
}

function isUpper(column: AnyPgColumn): SQL {
  return sql`${column} = upper(${column})`
}

export const merchants = pgTable('merchants', {
  id: text().primaryKey(), // mer_…
  name: text().notNull(),
  createdAt: createdAt(),
})

export const apiKeys = pgTable(
  'api_keys',
  {
    id: text().primaryKey(), // ak_…
    merchantId: merchantId(),
    key: text().notNull(), // publishable
    secretHash: text().notNull(), // SHA-256; the secret is random, so no salt is needed
    name: text(),
    lastUsedAt: time(), // to the minute
    revokedAt: time(),
    createdAt: createdAt(),
  },
  (t) => [
    unique('api_keys_key_key').on(t.key),
    unique('api_keys_secret_hash_key').on(t.secretHash),
    index('api_keys_list_idx').on(t.merchantId, t.createdAt.desc(), t.id.desc()),
  ],
)

export const orders = pgTable(
  'orders',
  {
    id: text().primaryKey(), // ord_…
    merchantId: merchantId(),
    reference: text(), // the merchant's own id
    amount: money().notNull(),
    currency: currency(),
    status: text({ enum: orderStatuses }).notNull().default('created'),
    metadata: metadata(),
    createdAt: createdAt(),
    updatedAt: createdAt(),
  },
  (t) => [
    unique('orders_reference_key').on(t.merchantId, t.reference),
    index('orders_list_idx').on(t.merchantId, t.createdAt.desc(), t.id.desc()),
    index('orders_status_idx').on(t.merchantId, t.status, t.createdAt.desc(), t.id.desc()),
    check('orders_amount_positive', sql`${t.amount} > 0`),
    check('orders_currency_upper', isUpper(t.currency)),
    check('orders_status_known', oneOf(t.status, orderStatuses)),
  ],
)

export const payments = pgTable(
  'payments',
  {
    id: text().primaryKey(), // pay_…, and the id of its workflow
    merchantId: merchantId(),
    orderId: text().references(() => orders.id),
    amount: money().notNull(),
    amountCaptured: money().notNull().default(0),
    amountRefunded: money().notNull().default(0),
    currency: currency(),
    method: text({ enum: paymentMethods }).notNull(),
    captureMethod: text({ enum: captureMethods }).notNull(),
    vpa: text(),
    cardToken: text(), // the provider's: the number itself is never stored
    cardBrand: text(),
    cardLast4: char({ length: 4 }),
    status: text({ enum: paymentStatuses }).notNull().default('pending'),
    failureCode: text().$type<FailureCode>(),
    needsAttention: boolean().notNull().default(false),
    description: text(),
    metadata: metadata(),
    provider: text().notNull(),
    providerRef: text(), // the provider's id: known before anything is charged
    chargeAttempt: integer().notNull().default(0), // part of the idempotency key of the charge
    chargeSentAt: time(), // of this attempt, stored before it is sent
    nextSweepAt: nextSweepAt(),
    createdAt: createdAt(),
    updatedAt: createdAt(),
  },
  (t) => [
    unique('payments_provider_ref_key').on(t.provider, t.providerRef),
    uniqueIndex('payments_open_order_key')
      .on(t.orderId)
      .where(sql`${t.status} not in ('failed', 'canceled')`),
    index('payments_list_idx').on(t.merchantId, t.createdAt.desc(), t.id.desc()),
    index('payments_status_idx').on(t.merchantId, t.status, t.createdAt.desc(), t.id.desc()),
    sweepIndex('payments_sweep_idx', t.nextSweepAt),
    openIndex('payments_open_idx', t.id, sql`${t.status} in ('pending', 'authorized')`),
    check('payments_amount_positive', sql`${t.amount} > 0`),
    check('payments_captured_within', sql`${t.amountCaptured} between 0 and ${t.amount}`),
    check('payments_refunded_within', sql`${t.amountRefunded} between 0 and ${t.amountCaptured}`),
    check('payments_captured', sql`(${t.status} = 'succeeded') = (${t.amountCaptured} > 0)`),
    check('payments_currency_upper', isUpper(t.currency)),
    check('payments_status_known', oneOf(t.status, paymentStatuses)),
    check('payments_method_upi', sql`(${t.method} = 'upi') = (${t.vpa} is not null)`),
    check('payments_method_card', sql`(${t.method} = 'card') = (${t.cardToken} is not null)`),
    check('payments_failure', sql`(${t.status} = 'failed') = (${t.failureCode} is not null)`),
  ],
)

export const commands = pgTable(
  'commands',
  {
    id: text().primaryKey(), // cmd_…, and the id of its update
    merchantId: merchantId(),
    resourceId: text().notNull(),
    kind: text().notNull(),
    parameters: jsonb().$type<Record<string, unknown>>().notNull().default({}),
    status: text({ enum: ['open', 'done', 'refused'] })
      .notNull()
      .default('open'),
    nextSweepAt: nextSweepAt(),
    createdAt: createdAt(),
    updatedAt: createdAt(),
  },
  (t) => [
    uniqueIndex('commands_open_key').on(t.resourceId).where(sql`${t.status} = 'open'`),
    sweepIndex('commands_sweep_idx', t.nextSweepAt),
    check('commands_status_known', oneOf(t.status, ['open', 'done', 'refused'])),
  ],
)

export const events = pgTable(
  'events',
  {
    id: text().primaryKey(), // evt_…
    merchantId: merchantId(),
    type: text().$type<EventType>().notNull(),
    resourceId: text().notNull(),
    body: text().notNull(), // the very text that is signed and sent
    createdAt: createdAt(),
  },
  (t) => [
    index('events_resource_idx').on(t.resourceId, t.type),
    index('events_list_idx').on(t.merchantId, t.createdAt.desc(), t.id.desc()),
    index('events_type_idx').on(t.merchantId, t.type, t.createdAt.desc(), t.id.desc()),
  ],
)

export const endpoints = pgTable(
  'webhook_endpoints',
  {
    id: text().primaryKey(), // we_…
    merchantId: merchantId(),
    url: text().notNull(),
    description: text(),
    eventTypes: text().array().$type<EventType[]>(), // null: all of them
    retrySchedule: integer().array(), // seconds after each failed attempt; null: the default
    status: text({ enum: endpointStatuses }).notNull().default('enabled'),
    secret: text(), // encrypted under REMIT_ENCRYPTION_KEY; null once deleted
    createdAt: createdAt(),
    updatedAt: createdAt(),
    deletedAt: time(),
  },
  (t) => [
    index('webhook_endpoints_list_idx')
      .on(t.merchantId, t.createdAt.desc(), t.id.desc())
      .where(sql`${t.deletedAt} is null`),
    check('webhook_endpoints_secret', sql`(${t.secret} is null) = (${t.deletedAt} is not null)`),
    check('webhook_endpoints_status_known', oneOf(t.status, endpointStatuses)),
  ],
)

export const deliveries = pgTable(
  'webhook_deliveries',
  {
    id: text().primaryKey(), // whd_…, and the id of its workflow
    merchantId: merchantId(),
    eventId: text()
      .notNull()
      .references(() => events.id),
    endpointId: text()
      .notNull()
      .references(() => endpoints.id),
    status: text({ enum: deliveryStatuses }).notNull().default('pending'),
    nextAttemptAt: time(), // null unless a failed attempt has set it
    nextSweepAt: nextSweepAt(),
    createdAt: createdAt(),
    updatedAt: createdAt(),
  },
  (t) => [
    unique('webhook_deliveries_event_endpoint_key').on(t.eventId, t.endpointId),
    index('webhook_deliveries_list_idx').on(t.merchantId, t.createdAt.desc(), t.id.desc()),
    index('webhook_deliveries_status_idx').on(
      t.merchantId,
      t.status,
      t.createdAt.desc(),
      t.id.desc(),
    ),
    index('webhook_deliveries_endpoint_idx').on(t.endpointId, t.createdAt.desc(), t.id.desc()),
    sweepIndex('webhook_deliveries_sweep_idx', t.nextSweepAt),
    openIndex('webhook_deliveries_open_idx', t.id, sql`${t.status} = 'pending'`),
    check('webhook_deliveries_status_known', oneOf(t.status, deliveryStatuses)),
  ],
)

export const attempts = pgTable(
  'webhook_attempts',
  {
    id: text().primaryKey(), // att_…; an attempt's number is no key, a reset counts from 1 again
    deliveryId: text()
      .notNull()
      .references(() => deliveries.id),
    runId: text().notNull(), // of the workflow: a reset starts another
    attempt: integer().notNull(), // counts from 1 in each run
    state: text({ enum: attemptStates }).notNull().default('sending'),
    requestHeaders: jsonb().$type<Record<string, string>>().notNull(),
    bodySha256: char({ length: 64 }).notNull(),
    httpStatus: integer(), // null when no answer came
    responseHeaders: jsonb().$type<Record<string, string>>(),
    responseBody: text(), // the first 4 KiB
    error: text(),
    latencyMs: integer(),
    retryInMs: bigint({ mode: 'number' }), // null when no attempt follows
    nextAttemptAt: time(),
    createdAt: createdAt(),
  },
  (t) => [
    index('webhook_attempts_delivery_idx').on(t.deliveryId, t.createdAt),
    check('webhook_attempts_state_known', oneOf(t.state, attemptStates)),
    check('webhook_attempts_counted', sql`${t.attempt} > 0`),
  ],
)

export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    merchantId: merchantId(),
    method: text().notNull(),
    path: text().notNull(),
    key: text().notNull(),
    fingerprint: text().notNull(), // an HMAC of the request: a hash of a card could be guessed
    responseStatus: integer().notNull(),
    responseBody: text().notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.merchantId, t.method, t.path, t.key] }),
    index('idempotency_keys_created_idx').on(t.createdAt),
  ],
)

/** The sandbox provider's own table: it stands for a system that is not ours. */
export const sandboxCharges = pgTable(
  'sandbox_charges',
  {
    id: text().primaryKey(), // sbc_…
    key: text().notNull(), // the idempotency key it was created with
    paymentId: text().notNull(), // what the caller named it by
    source: text().notNull(), // a vpa or a token
    amount: money().notNull(),
    currency: currency(),
    status: text({ enum: sandboxStatuses }).notNull().default('created'),
    failureCode: text().$type<FailureCode>(),
    failedKeys: text().array().notNull().default([]),
    decidesAt: time(), // null: never by itself
    createdAt: createdAt(),
  },
  (t) => [
    unique('sandbox_charges_key_key').on(t.key),
    index('sandbox_charges_payment_idx').on(t.paymentId),
    check('sandbox_charges_status_known', oneOf(t.status, sandboxStatuses)),
  ],
)

/** Merchant accounts alone have a balance: one hot row of the platform's would slow every payment. */
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
    createdAt: createdAt(),
  },
  (t) => [
    unique('balance_transactions_source_key').on(t.sourceId, t.type),
    index('balance_transactions_list_idx').on(t.merchantId, t.createdAt.desc(), t.id.desc()),
    check('balance_transactions_type_known', oneOf(t.type, balanceTransactionTypes)),
  ],
)

/** Immutable, and in balance per transaction: both are kept by triggers, in 0001_ledger_rules.sql. */
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
      oneOf(t.account, ['available', 'held', 'receivable', 'clearing', 'fees']),
    ),
  ],
)
