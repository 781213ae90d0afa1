import { eq } from 'drizzle-orm'
import { attempts, deliveries } from '../../db/webhooks/schema.ts'
import { expectCommandsAnswered, expectEachAnswerKept } from './answers.ts'
import { untilAllEnded } from './endings.ts'
import { expectInvoicesKept } from './invoices.ts'
import type { Load } from './load.ts'
import {
  expectBalanced,
  expectChargedOnce,
  expectPayoutsObeyed,
  expectSentOnce,
  stepsOf,
} from './money.ts'
import { type Rows, rowsOf, sum } from './rows.ts'
import { expectLinksKept, expectOrdersKept, stepsOfSales } from './sales.ts'
import type { Shop } from './shop.ts'

/**
 * Waits until everything that the shop opened has ended. Then checks the invariants, which hold
 * whatever was killed meanwhile, and prints a summary. `faults` lists the faults and their number.
 */
export async function expectAllWell(
  name: string,
  shop: Shop,
  load: Pick<Load, 'done'>,
  faults: string,
): Promise<void> {
  const startedAt = performance.now()
  await untilAllEnded(shop, load)
  const { asked } = shop.client
  const tookS = Math.round((performance.now() - startedAt) / 1000)

  const rows = await rowsOf(shop)
  expectEachAnswerKept(shop, rows)
  expectCommandsAnswered(shop, rows)
  expectPayoutsObeyed(shop, rows.payouts, rows.commands)
  expectOrdersKept(shop, rows)
  expectLinksKept(shop, rows)
  expectInvoicesKept(shop, rows)
  await expectChargedOnce(shop, rows.payments)
  await expectSentOnce(shop, rows)
  await expectBalanced(shop, rows)
  const posted = await expectToldOfAll(shop, rows)
  expect(shop.remit.endedByThemselves).toEqual([])

  const line = [
    `${name}: ${faults}`,
    `${rows.payments.length} payments, ${rows.refunds.length} refunds, ${rows.payouts.length} payouts`,
    `${countOf(rows.orders)} orders, ${countOf(rows.links)} links`,
    `${rows.invoices.length} invoices with ${rows.inbound.length} events`,
    `${rows.commands.length} commands, in ${sum(asked.map((one) => one.requests))} requests`,
    `${posted.posts} posts, ${posted.failed} refused`,
    `${posted.again} received again after a 200`,
    `${posted.interrupted} attempts interrupted`,
    `ended ${tookS} s after the faults`,
  ]
  process.stdout.write(`${line.join(', ')}\n`)
}

/** Counts the rows, in total and by status. */
function countOf(rows: { status: string }[]): string {
  const statuses = [...countBy(rows.map(({ status }) => status))]
  return `${rows.length} (${statuses.map(([status, count]) => `${count} ${status}`).join(', ')})`
}

/** Chance decides if a payout emits `processing`. `expectInvoicesKept` checks the invoices. */
const byChance = ['payout.processing', 'invoice.partially_paid', 'invoice.paid']

/**
 * Checks that each step of each object emitted an event, that each event arrived at least once, and
 * that each post that came in is logged as an attempt.
 */
async function expectToldOfAll(shop: Shop, rows: Rows) {
  const { merchant, remit, posts } = shop
  const db = remit.db()
  const told = rows.events
  const names = told
    .filter(({ type }) => !byChance.includes(type))
    .map((one) => `${one.resourceId} ${one.type}`)
  const steps = [
    ...(await stepsOf(shop, rows)),
    ...stepsOfSales(rows),
    ...rows.invoices.map(({ id }) => `${id} invoice.created`),
  ]
  expect(names.sort()).toEqual(steps.sort())
  const processing = told.filter(({ type }) => type === 'payout.processing')
  expect(new Set(processing.map((one) => one.resourceId)).size).toBe(processing.length)

  const received = countBy(posts.map(({ headers }) => `${headers['webhook-id']}`))
  expect([...received.keys()].sort()).toEqual(told.map(({ id }) => id).sort())

  const logged = await db
    .select({
      state: attempts.state,
      headers: attempts.requestHeaders,
      status: attempts.httpStatus,
      error: attempts.error,
      delivery: deliveries.status,
    })
    .from(attempts)
    .innerJoin(deliveries, eq(deliveries.id, attempts.deliveryId))
    .where(eq(deliveries.merchantId, merchant.id))
  const lost = logged.filter(({ delivery, status }) => delivery !== 'delivered' && status !== 503)
  expect(lost.map(({ delivery, state, error }) => [delivery, state, error])).toEqual([])
  const attempted = countBy(logged.map(({ headers }) => nameOf(headers)))
  const unlogged = [...countBy(posts.map(({ headers }) => nameOf(headers)))].filter(
    ([name, count]) => count > (attempted.get(name) ?? 0),
  )
  expect(unlogged).toEqual([])
  const states = countBy(logged.map(({ state }) => state))
  expect(states.get('sending')).toBeUndefined()
  expect(states.get('succeeded')).toBe(told.length)
  return {
    posts: posts.length,
    failed: posts.filter(({ status }) => status !== 200).length,
    again: posts.filter(({ again }) => again).length,
    interrupted: states.get('interrupted') ?? 0,
  }
}

/** Names an attempt. Attempts within the same second share their name, so names are counted. */
function nameOf(headers: Record<string, unknown>): string {
  return `${headers['webhook-id']} ${headers['webhook-timestamp']}`
}

function countBy(names: string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}
