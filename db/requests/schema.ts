import { sql } from 'drizzle-orm'
import { check, index, integer, pgTable, primaryKey, text, uniqueIndex } from 'drizzle-orm/pg-core'
import { commandKinds, commandStatuses } from '../../core/lifecycles/command.ts'
import { createdAt, money, nextSweepAt, oneOf, sweepIndex, time } from '../columns.ts'
import { merchantId } from '../merchants/schema.ts'

/**
 * A command is a merchant's request on a resource. A command is open until the resource's workflow
 * has answered it.
 */
export const commands = pgTable(
  'commands',
  {
    id: text().primaryKey(), // cmd_…, also the id of the workflow update
    merchantId: merchantId(),
    resourceId: text().notNull(),
    kind: text({ enum: commandKinds }).notNull(), // also the name of the workflow update
    amount: money(), // set only by a capture; null captures all
    status: text({ enum: commandStatuses }).notNull().default('open'),
    nextSweepAt: nextSweepAt(), // set while open, because the update can get lost on the way
    createdAt: createdAt(),
    updatedAt: createdAt(),
  },
  (t) => [
    uniqueIndex('commands_open_key').on(t.resourceId).where(sql`${t.status} = 'open'`),
    sweepIndex('commands_sweep_idx', t.nextSweepAt),
    check('commands_status_known', oneOf(t.status, commandStatuses)),
    check('commands_kind_known', oneOf(t.kind, commandKinds)),
    check('commands_swept', sql`(${t.status} = 'open') = (${t.nextSweepAt} is not null)`),
  ],
)

/**
 * A key stands for an answer, for a command whose answer is still to come, or for work in progress.
 */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    merchantId: merchantId(),
    method: text().notNull(),
    path: text().notNull(),
    key: text().notNull(),
    fingerprint: text().notNull(), // HMAC of the request; a plain hash of a card could be guessed
    responseStatus: integer(),
    responseBody: text(), // encrypted
    commandId: text().references(() => commands.id),
    leaseId: text(), // names the request that works on the key outside any transaction
    leasedUntil: time(),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.merchantId, t.method, t.path, t.key] }),
    index('idempotency_keys_created_idx').on(t.createdAt),
    check(
      'idempotency_keys_response',
      sql`(${t.responseStatus} is null) = (${t.responseBody} is null)`,
    ),
    check('idempotency_keys_lease', sql`(${t.leaseId} is null) = (${t.leasedUntil} is null)`),
    check(
      'idempotency_keys_stands_for',
      sql`num_nonnulls(${t.responseStatus}, ${t.commandId}, ${t.leaseId}) > 0`,
    ),
  ],
)
