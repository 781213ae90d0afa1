import { getTableConfig } from 'drizzle-orm/pg-core'
import { type LifecycleName, lifecycleNames, lifecycles } from '../../core/lifecycles/index.ts'
import {
  isOpenStatus,
  type Lifecycle,
  lifecycle,
  withVerdicts,
} from '../../core/lifecycles/lifecycle.ts'
import { eventTypes } from '../../core/webhooks/events.ts'
import { isOpen } from '../../db/lifecycle-table.ts'
import { lifecycleTables } from '../../db/lifecycle-tables.ts'
import * as workflows from '../../workflows/index.ts'

const all: [LifecycleName, Lifecycle][] = lifecycleNames.map((name) => [name, lifecycles[name]])

test.each(all)(
  'only the first status of %s is reached by no move, and every open status has a move',
  (_, described) => {
    const { moves, statuses } = described
    const reached = new Set(statuses.flatMap((status) => moves[status] ?? []))
    expect(statuses.filter((status) => !reached.has(status))).toEqual([statuses[0]])
    for (const status of statuses)
      if (isOpenStatus(described, status)) expect(moves[status]).not.toEqual([])
  },
)

test.each(all)('every command on %s is one of its moves', (_, { moves, commands }) => {
  for (const { from, to } of Object.values(commands))
    for (const status of from) expect(moves[status]).toContain(to)
})

test.each(all)('every status that a row of %s can move to has its event', (_, described) => {
  const { object, statuses, events } = described
  if (Object.keys(events).length === 0) return // the invoice of an inbound event emits
  const wanted = ['created', ...statuses.slice(1)].map((step) => `${object}.${step}`)
  const catalog: string[] = eventTypes.filter((type) => type.startsWith(`${object}.`))
  expect(catalog.sort()).toEqual(wanted.sort())
})

test.each(all)('%s has a workflow, a unique id prefix, and its indexes and checks', (name, one) => {
  expect(Object.keys(workflows)).toContain(one.workflow)
  expect(all.filter(([, { idPrefix }]) => idPrefix === one.idPrefix)).toHaveLength(1)
  const { name: table, indexes, checks } = getTableConfig(lifecycleTables[name])
  const names = [...indexes.map(({ config }) => config.name), ...checks.map((each) => each.name)]
  const rules = ['sweep_idx', 'open_idx', 'amount_positive', 'status_known']
  expect(names).toEqual(expect.arrayContaining(rules.map((rule) => `${table}_${rule}`)))
})

test('a table without the column that keeps its rows open is refused', () => {
  const described = { open: ['pending'], openWhile: 'isOwing' }
  expect(() => isOpen(described, lifecycleTables.payouts)).toThrow('without the column isOwing')
})

test('a missing late verdict, or a status that does not exist, does not compile', () => {
  const parcel = lifecycle({
    object: 'parcel',
    idPrefix: 'par',
    workflow: 'sendParcel',
    moves: { pending: ['sent', 'lost'], sent: [], lost: [] },
    open: ['pending'],
    staysOpen: 'days',
    commands: {},
    events: {},
  })
  const decided = { verdicts: ['sent', 'lost'], failureCodes: [] } as const
  const late = { sent: { after: ['lost'], booked: ['late_payout'] }, lost: null } as const
  expect(withVerdicts(parcel, { ...decided, late }).late).toBe(late)
  // @ts-expect-error: `lost` is missing, and the money of such a verdict would be lost
  withVerdicts(parcel, { ...decided, late: { sent: late.sent } })
  // @ts-expect-error: a parcel is never `paid`
  withVerdicts(parcel, { ...decided, late: { ...late, lost: { after: ['paid'], booked: [] } } })
  // @ts-expect-error: a parcel is never `paid`
  lifecycle({ ...parcel, moves: { pending: ['paid'] }, open: ['pending'] })
})
