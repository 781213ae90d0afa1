import { type SQL, sql } from 'drizzle-orm'
import {
  type AnyPgColumn,
  bigint,
  char,
  type ExtraConfigColumn,
  index,
  integer,
  jsonb,
  text,
  timestamp,
} from 'drizzle-orm/pg-core'

export const time = () => timestamp({ withTimezone: true })
export const createdAt = () => time().notNull()
export const money = () => bigint({ mode: 'number' }) // minor units, like every amount here
export const currency = () => char({ length: 3 }).notNull()
export const metadata = () => jsonb().$type<Record<string, string>>().notNull().default({})

/**
 * The column is set until a workflow claims the row. The sweep takes only rows in which the column
 * is set.
 */
export const nextSweepAt = time

export function sweepIndex(name: string, column: AnyPgColumn) {
  return index(name).on(column).where(sql`${column} is not null`)
}

/** Returns the order of every list. The index of a list ends with these columns. */
export function newestFirst(t: Record<'createdAt' | 'id', ExtraConfigColumn>) {
  return [t.createdAt.desc(), t.id.desc()] as const
}

/**
 * Indexes the open rows. `reconcile` looks there for claimed rows that may have lost their
 * workflow.
 */
export function openIndex(name: string, column: AnyPgColumn, open: SQL) {
  return index(name).on(column).where(open)
}

/**
 * Returns the condition that a column has one of the values. The values are our own constants, so
 * nothing needs escaping.
 */
export function oneOf(column: AnyPgColumn, values: readonly string[]): SQL {
  return sql`${column} in (${sql.join(values.map(literal), sql`, `)})`
}

export function literal(value: string): SQL {
  return sql.raw(`'${value}'`)
}

export function isUpper(column: AnyPgColumn): SQL {
  return sql`${column} = upper(${column})`
}

/** These columns hold how far a transfer has got at its provider. */
export const atProvider = () => ({
  provider: text().notNull(),
  providerRef: text(), // the provider's own id
  sendAttempt: integer().notNull().default(0), // part of the idempotency key
  sentAt: time(), // time of attempt `sendAttempt`, stored before that attempt is sent
})
