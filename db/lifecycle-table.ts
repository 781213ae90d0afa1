import { type SQL, sql } from 'drizzle-orm'
import {
  type AnyPgColumn,
  check,
  type ExtraConfigColumn,
  index,
  type PgTable,
  text,
} from 'drizzle-orm/pg-core'
import type { Lifecycle } from '../core/lifecycles/lifecycle.ts'
import {
  createdAt,
  isUpper,
  literal,
  money,
  newestFirst,
  nextSweepAt,
  oneOf,
  openIndex,
  sweepIndex,
} from './columns.ts'
import { merchantId } from './merchants/schema.ts'

type Column = 'id' | 'merchantId' | 'amount' | 'status' | 'nextSweepAt' | 'createdAt' | 'updatedAt'

/** A table whose rows each have a workflow. */
export type LifecycleTable = PgTable & Record<Column, AnyPgColumn>

/** Returns the columns that every lifecycle table has. */
export function lifecycleColumns<const Status extends string>({
  statuses,
}: {
  statuses: readonly [Status, ...Status[]]
}) {
  return {
    id: text().primaryKey(), // also the id of the row's workflow
    merchantId: merchantId(),
    amount: money().notNull(),
    status: text({ enum: statuses }).notNull().default(statuses[0]),
    nextSweepAt: nextSweepAt(),
    createdAt: createdAt(),
    updatedAt: createdAt(),
  }
}

type Openness = Pick<Lifecycle, 'open' | 'openWhile'>

type Columns = Record<Column, ExtraConfigColumn & AnyPgColumn> & {
  currency?: AnyPgColumn
  failureCode?: AnyPgColumn
}

/**
 * Returns the indexes and checks that every lifecycle table has, for `pgTable`. Each of their names
 * begins with `name`.
 */
export function lifecycleRules(name: string, lifecycle: Lifecycle, t: Columns) {
  const { status, currency, failureCode } = t
  return [
    sweepIndex(`${name}_sweep_idx`, t.nextSweepAt),
    openIndex(`${name}_open_idx`, t.id, isOpen(lifecycle, t)),
    check(`${name}_amount_positive`, sql`${t.amount} > 0`),
    check(`${name}_status_known`, oneOf(status, lifecycle.statuses)),
    ...(currency ? [check(`${name}_currency_upper`, isUpper(currency))] : []),
    ...(failureCode
      ? [check(`${name}_failure`, sql`(${status} = 'failed') = (${failureCode} is not null)`)]
      : []),
  ]
}

/** Returns the indexes of a table that merchants list and filter by status. */
export function listRules(
  name: string,
  t: Pick<Columns, 'merchantId' | 'status' | 'createdAt' | 'id'>,
) {
  return [
    index(`${name}_list_idx`).on(t.merchantId, ...newestFirst(t)),
    index(`${name}_status_idx`).on(t.merchantId, t.status, ...newestFirst(t)),
  ]
}

/**
 * Returns the condition that a row still has work for its workflow, worded like the table's open
 * index. Throws if the table lacks the column `openWhile`, because rows that only this column keeps
 * open would be forgotten.
 */
export function isOpen({ open, openWhile }: Openness, t: { status: AnyPgColumn }): SQL {
  const [only, ...others] = open
  const byStatus =
    others.length === 0 ? sql`${t.status} = ${literal(only ?? '')}` : oneOf(t.status, open)
  if (!openWhile) return byStatus
  const flag = (t as Record<string, AnyPgColumn>)[openWhile]
  if (!flag) throw new Error(`A table without the column ${openWhile}`)
  return sql`${byStatus} or ${flag}`
}
