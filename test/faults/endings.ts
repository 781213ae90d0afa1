import { isDeepStrictEqual } from 'node:util'
import type { Load } from './load.ts'
import { isToReturn, type Rows, rowsOf, transfersOf } from './rows.ts'
import type { Shop } from './shop.ts'

const ENDED = [
  ...['succeeded', 'completed', 'failed', 'canceled', 'delivered', 'done', 'refused'],
  ...['fulfilled', 'paid', 'expired', 'applied'],
]
const LATER_MS = 60 * 60_000 // rows with more time are left to wait

/** Lets time pass during the load too, because the load may wait for something that is not due. */
export async function untilAllEnded(shop: Shop, load: Pick<Load, 'done'>): Promise<void> {
  let loaded = false
  const ending = load.done.finally(() => {
    loaded = true
  })
  ending.catch(() => {}) // the last line throws the error
  const allEnded = shop.remit.untilDone(async () =>
    loaded ? leftToDo(shop) : 'The load is not done',
  )
  await Promise.all([allEnded, ending])
}

/** Names the rows that have not ended, or else the workflows that run wrongly or are missing. */
async function leftToDo(shop: Shop): Promise<string> {
  const rows = await rowsOf(shop)
  const open = describe(await openOf(shop, rows))
  if (open) return open
  const [running, waiting] = [await runningOf(shop), waitingOf(rows)]
  if (isDeepStrictEqual(running, waiting)) return ''
  const besides = running.filter((id) => !waiting.includes(id))
  const missing = waiting.filter((id) => !running.includes(id))
  return `Workflows that should not run: ${besides}; that should: ${missing}`
}

type Row = { id: string; status: string; nextSweepAt: Date | null }

/**
 * Returns the rows that have not ended. Rows that the sweep would still start count too, and so do
 * transfers that have yet to come back and orders that are compensating.
 */
async function openOf(shop: Shop, rows: Rows) {
  const open = (row: Row) => !ENDED.includes(row.status) || row.nextSweepAt !== null
  const transfers = await transfersOf(shop, rows)
  const returned = new Set(transfers.filter(isToReturn).map(({ objectId }) => objectId))
  const out = (row: Row) =>
    open(row) || (returned.has(row.id) && ['succeeded', 'completed'].includes(row.status))
  const waits = (row: Row) => row.nextSweepAt === null && waitingOf(rows).includes(row.id)
  return {
    payments: rows.payments.filter(open),
    refunds: rows.refunds.filter(out),
    payouts: rows.payouts.filter(out),
    // A paid order has not ended, and a canceled order may still be compensating.
    orders: rows.orders.filter(
      (row) => row.isCompensating || ((open(row) || row.status === 'paid') && !waits(row)),
    ),
    links: rows.links.filter((row) => open(row) && !waits(row)),
    inbound: rows.inbound.filter(open),
    deliveries: rows.deliveries.filter(open),
    commands: rows.commands.filter(open),
  }
}

/** Returns the orders that have days to be paid or fulfilled, and the links that never expire. */
function waitingOf({ orders, links }: Rows): string[] {
  const later = Date.now() + LATER_MS
  const waiting = [
    ...orders.filter(
      ({ status, fulfilBy }) => ['created', 'paid'].includes(status) && fulfilBy.getTime() > later,
    ),
    ...links.filter(({ status, expiresAt }) => status === 'active' && expiresAt === null),
  ]
  return waiting.map(({ id }) => id).sort()
}

/** Returns the ids of the shop's workflows that have not ended. */
async function runningOf({ remit, merchant }: Shop): Promise<string[]> {
  const running: string[] = []
  const query = `MerchantId = '${merchant.id}' AND ExecutionStatus = 'Running'`
  for await (const { workflowId } of remit.client().workflow.list({ query }))
    running.push(workflowId)
  return running.sort()
}

function describe(open: Awaited<ReturnType<typeof openOf>>): string {
  return Object.entries(open)
    .filter(([, rows]) => rows.length > 0)
    .map(([kind, rows]) => `${rows.length} ${kind} open, such as ${JSON.stringify(rows[0])}`)
    .join('; ')
}
