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
export const money = () => bigint({ mode: 'number' }) // in minor units, like every amount here
export const currency = () => char({ length: 3 }).notNull()
export const metadata = () => jsonb().$type<Record<string, string>>().notNull().default({})

/** Set until the row's workflow has taken it up: only what never started is ever swept. */
export const nextSweepAt = time

export function sweepIndex(name: string, column: AnyPgColumn) {
  return index(name).on(column).where(sql`${column} is not null`)
}

/** The order of every list, for its index to end with. */
export function newestFirst(t: Record<'createdAt' | 'id', ExtraConfigColumn>) {
  return [t.createdAt.desc(), t.id.desc()] as const
}

/** Where `reconcile` looks: what is open, was taken up, and may have lost its workflow. */
export function openIndex(name: string, column: AnyPgColumn, open: SQL) {
  return index(name).on(column).where(open)
}

/** The values of an enum as SQL. They are constants of ours, so there is nothing to escape. */
export function oneOf(column: AnyPgColumn, values: readonly string[]): SQL {
  return sql`${column} in (${sql.join(values.map(literal), sql`, `)})`
}

export function literal(value: string): SQL {
  return sql.raw(`'${value}'`)
}

export function isUpper(column: AnyPgColumn): SQL {
  return sql`${column} = upper(${column})`
}

/** How far a transfer has got at its provider. */
export const atProvider = () => ({
  provider: text().notNull(),
  providerRef: text(), // the provider's own id
  sendAttempt: integer().notNull().default(0), // part of the idempotency key
  sentAt: time(), // of this attempt, stored before it is sent
})
