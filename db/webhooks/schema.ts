import { sql } from 'drizzle-orm'
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
  text,
  uniqueIndex,
} from 'drizzle-orm/pg-core'
import { attemptStates, deliveryStatuses, endpointStatuses } from '../../core/webhooks/delivery.ts'
import type { EventType } from '../../core/webhooks/events.ts'
import {
  createdAt,
  newestFirst,
  nextSweepAt,
  oneOf,
  openIndex,
  sweepIndex,
  time,
} from '../columns.ts'
import { listRules } from '../lifecycle-table.ts'
import { merchantId } from '../merchants/schema.ts'

export const events = pgTable(
  'events',
  {
    id: text().primaryKey(), // evt_…
    merchantId: merchantId(),
    type: text().$type<EventType>().notNull(),
    resourceId: text().notNull(),
    body: text().notNull(), // the exact text that is signed and sent
    createdAt: createdAt(),
  },
  (t) => [
    index('events_resource_idx').on(t.resourceId, t.type),
    index('events_list_idx').on(t.merchantId, ...newestFirst(t)),
    index('events_type_idx').on(t.merchantId, t.type, ...newestFirst(t)),
    index('events_created_idx').on(t.createdAt), // `prune` reads events in this order
  ],
)

export const endpoints = pgTable(
  'webhook_endpoints',
  {
    id: text().primaryKey(), // we_…
    merchantId: merchantId(),
    url: text().notNull(),
    description: text(),
    eventTypes: text().array().$type<EventType[]>(), // all types if null
    retrySchedule: integer().array(), // seconds after each failed attempt; the default if null
    status: text({ enum: endpointStatuses }).notNull().default('enabled'),
    secret: text(), // encrypted under REMIT_ENCRYPTION_KEY; set to null on delete
    createdAt: createdAt(),
    updatedAt: createdAt(),
    deletedAt: time(),
  },
  (t) => [
    index('webhook_endpoints_list_idx')
      .on(t.merchantId, ...newestFirst(t))
      .where(sql`${t.deletedAt} is null`),
    check('webhook_endpoints_secret', sql`(${t.secret} is null) = (${t.deletedAt} is not null)`),
    check('webhook_endpoints_status_known', oneOf(t.status, endpointStatuses)),
  ],
)

export const deliveries = pgTable(
  'webhook_deliveries',
  {
    id: text().primaryKey(), // whd_…, also the id of its workflow
    merchantId: merchantId(),
    eventId: text()
      .notNull()
      .references(() => events.id),
    endpointId: text()
      .notNull()
      .references(() => endpoints.id),
    status: text({ enum: deliveryStatuses }).notNull().default('pending'),
    resendOf: text().references((): AnyPgColumn => deliveries.id), // repeats this earlier delivery
    nextAttemptAt: time(), // set only by a failed attempt
    nextSweepAt: nextSweepAt(),
    createdAt: createdAt(),
    updatedAt: createdAt(),
  },
  (t) => [
    uniqueIndex('webhook_deliveries_event_endpoint_key')
      .on(t.eventId, t.endpointId)
      .where(sql`${t.resendOf} is null`),
    index('webhook_deliveries_event_idx').on(t.eventId),
    index('webhook_deliveries_resend_idx').on(t.resendOf).where(sql`${t.resendOf} is not null`),
    ...listRules('webhook_deliveries', t),
    index('webhook_deliveries_endpoint_idx').on(t.endpointId, ...newestFirst(t)),
    sweepIndex('webhook_deliveries_sweep_idx', t.nextSweepAt),
    openIndex('webhook_deliveries_open_idx', t.id, sql`${t.status} = 'pending'`),
    check('webhook_deliveries_status_known', oneOf(t.status, deliveryStatuses)),
  ],
)

export const attempts = pgTable(
  'webhook_attempts',
  {
    id: text().primaryKey(), // att_…; the attempt's number is no key: a reset counts from 1 again
    deliveryId: text()
      .notNull()
      .references(() => deliveries.id),
    runId: text().notNull(), // the run of the workflow; a reset starts another run
    attempt: integer().notNull(), // counts from 1 in each run
    state: text({ enum: attemptStates }).notNull().default('sending'),
    url: text().notNull(), // the URL at that time, because an endpoint's URL can change
    requestHeaders: jsonb().$type<Record<string, string>>().notNull(),
    bodySha256: char({ length: 64 }).notNull(),
    httpStatus: integer(), // stays null if no answer came
    responseHeaders: jsonb().$type<Record<string, string>>(),
    responseBody: text(), // the first 4 KiB
    error: text(),
    latencyMs: integer(),
    reconnected: boolean().notNull().default(false), // sent twice: the first connection was stale
    retryInMs: bigint({ mode: 'number' }), // stays null if no attempt follows
    nextAttemptAt: time(),
    createdAt: createdAt(),
  },
  (t) => [
    uniqueIndex('webhook_attempts_counted_key') // refuses one of two workers that send at once
      .on(t.deliveryId, t.runId, t.attempt)
      .where(sql`${t.state} <> 'interrupted'`),
    index('webhook_attempts_delivery_idx').on(t.deliveryId, t.createdAt),
    check('webhook_attempts_state_known', oneOf(t.state, attemptStates)),
    check('webhook_attempts_counted', sql`${t.attempt} > 0`),
  ],
)
