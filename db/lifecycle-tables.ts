import { type LifecycleName, lifecycleNames, lifecycles } from '../core/lifecycles/index.ts'
import type { Lifecycle } from '../core/lifecycles/lifecycle.ts'
import { inboundEvents } from './invoices/schema.ts'
import type { LifecycleTable } from './lifecycle-table.ts'
import { orders, paymentLinks, payments } from './payments/schema.ts'
import { payouts } from './payouts/schema.ts'
import { refunds } from './refunds/schema.ts'

/** The table of each lifecycle. */
export const lifecycleTables = {
  payments,
  refunds,
  paymentLinks,
  payouts,
  orders,
  inboundEvents,
} as const satisfies Record<LifecycleName, LifecycleTable>

export type LifecycleRow<Name extends LifecycleName = LifecycleName> =
  (typeof lifecycleTables)[Name]['$inferSelect']

export function lifecycleOf(table: LifecycleTable): Lifecycle {
  const name = lifecycleNames.find((one) => lifecycleTables[one] === table)
  if (!name) throw new Error('A table without a lifecycle')
  return lifecycles[name]
}
