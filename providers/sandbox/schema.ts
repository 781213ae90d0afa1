import { check, index, pgTable, text, unique } from 'drizzle-orm/pg-core'
import { captureMethods, type FailureCode } from '../../core/lifecycles/payment.ts'
import { createdAt, currency, money, oneOf, time } from '../../db/columns.ts'

// These tables stand for the provider's own server: no other folder reads or writes them.

const chargeStatuses = [
  'created', // the sandbox has not taken any money yet
  'processing',
  'authorized',
  'succeeded',
  'failed',
  'canceled',
] as const

const transferKinds = ['refund', 'payout'] as const

const transferStatuses = [
  'unavailable', // the sandbox answered 503, and no money left
  'accepted',
  'processing',
  'succeeded',
  'failed',
  'canceled',
] as const

export const sandboxCharges = pgTable(
  'sandbox_charges',
  {
    id: text().primaryKey(), // sbc_…
    key: text().notNull(), // the idempotency key that created the charge
    paymentId: text().notNull(), // the caller's id of the payment
    source: text().notNull(), // a vpa or a token
    amount: money().notNull(),
    currency: currency(),
    captureMethod: text({ enum: captureMethods }).notNull().default('automatic'),
    amountCaptured: money().notNull().default(0),
    status: text({ enum: chargeStatuses }).notNull().default('created'),
    failureCode: text().$type<FailureCode>(),
    failedKeys: text().array().notNull().default([]), // each of these idempotency keys got a 503
    decidesAt: time(), // a charge without this time is not decided by itself
    createdAt: createdAt(),
  },
  (t) => [
    unique('sandbox_charges_key_key').on(t.key),
    index('sandbox_charges_decides_idx').on(t.decidesAt),
    index('sandbox_charges_payment_idx').on(t.paymentId),
    check('sandbox_charges_status_known', oneOf(t.status, chargeStatuses)),
  ],
)

/** Refunds and payouts are transfers: they leave the sandbox. */
export const sandboxTransfers = pgTable(
  'sandbox_transfers',
  {
    id: text().primaryKey(), // sbt_…
    key: text().notNull(), // the idempotency key that sent the transfer
    kind: text({ enum: transferKinds }).notNull(),
    objectId: text().notNull(), // the caller's id of the refund or payout
    chargeId: text(), // only a refund has a charge
    target: text().notNull(), // a vpa, a token, or an account for tests
    amount: money().notNull(),
    currency: currency(),
    status: text({ enum: transferStatuses }).notNull(),
    failureCode: text(),
    startsAt: time(), // from this time on, the transfer can't be canceled
    decidesAt: time(), // a transfer without this time is not decided by itself
    returnsAt: time(), // a transfer without this time is not returned by itself
    createdAt: createdAt(),
  },
  (t) => [
    unique('sandbox_transfers_key_key').on(t.key),
    index('sandbox_transfers_object_idx').on(t.objectId),
    index('sandbox_transfers_decides_idx').on(t.decidesAt),
    index('sandbox_transfers_returns_idx').on(t.returnsAt),
    index('sandbox_transfers_charge_idx').on(t.chargeId),
    check('sandbox_transfers_kind_known', oneOf(t.kind, transferKinds)),
    check('sandbox_transfers_status_known', oneOf(t.status, transferStatuses)),
  ],
)
