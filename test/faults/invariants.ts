import { eq } from 'drizzle-orm'
import { commands, payments } from '../../db/schema.ts'
import { payouts, refunds } from '../../db/transfer-schema.ts'
import { attempts, deliveries, events } from '../../db/webhook-schema.ts'
import { type Asked, isCommand } from './client.ts'
import type { Load } from './load.ts'
import {
  expectBalanced,
  expectChargedOnce,
  expectPayoutsObeyed,
  expectSentOnce,
  isToReturn,
  type Money,
  stepsOf,
  transfersOf,
} from './money.ts'
import type { Shop } from './shop.ts'

const ended = ['succeeded', 'completed', 'failed', 'canceled', 'delivered', 'done', 'refused']

/**
 * Waits until all that the shop has opened has ended, and checks what has to be true
 * whatever was killed meanwhile. Prints what it took: `faults` says how often what was done.
 */
export async function expectAllWell(
  name: string,
  shop: Shop,
  load: Pick<Load, 'done'>,
  faults: string,
): Promise<void> {
  const startedAt = performance.now()
  await untilAllEnded(shop, load)
  const tookS = Math.round((performance.now() - startedAt) / 1000)

  const { asked } = shop.client
  const money = await expectEachAnswerKept(shop)
  const { payments: paid, refunds: sentBack, payouts: sentOut } = money
  const told = await expectCommandsAnswered(shop, paid)
  expectPayoutsObeyed(shop, sentOut, told)
  await expectChargedOnce(shop, paid)
  await expectSentOnce(shop, money)
  await expectBalanced(shop, money)
  const posted = await expectToldOfAll(shop, money)
  expect(shop.remit.endedByThemselves).toEqual([])

  const requests = asked.reduce((sum, one) => sum + one.requests, 0)
  const line = [
    `${name}: ${faults}`,
    `${paid.length} payments, ${sentBack.length} refunds, ${sentOut.length} payouts`,
    `${told.length} commands, in ${requests} requests`,
    `${posted.posts} posts, ${posted.failed} refused`,
    `${posted.again} received again after a 200`,
    `${posted.interrupted} attempts interrupted`,
    `ended ${tookS} s after the faults`,
  ]
  process.stdout.write(`${line.join(', ')}\n`)
}

/** The load too: what it waits for may be what only passing time brings. */
export async function untilAllEnded(shop: Shop, load: Pick<Load, 'done'>): Promise<void> {
  let loaded = false
  const ending = load.done.finally(() => {
    loaded = true
  })
  ending.catch(() => {}) // it is thrown below
  const allEnded = shop.remit.untilDone(async () =>
    loaded ? describe(await openOf(shop)) : 'The load is not done',
  )
  await Promise.all([allEnded, ending])
}

async function rowsOf({ remit, merchant }: Shop) {
  const db = remit.db()
  return {
    payments: await db.select().from(payments).where(eq(payments.merchantId, merchant.id)),
    refunds: await db.select().from(refunds).where(eq(refunds.merchantId, merchant.id)),
    payouts: await db.select().from(payouts).where(eq(payouts.merchantId, merchant.id)),
    deliveries: await db.select().from(deliveries).where(eq(deliveries.merchantId, merchant.id)),
    commands: await db.select().from(commands).where(eq(commands.merchantId, merchant.id)),
  }
}

/**
 * What has not ended yet. Rows that the sweep would still start count too, and what is to come back
 * and has not.
 */
async function openOf(shop: Shop) {
  const rows = await rowsOf(shop)
  const open = (row: { status: string; nextSweepAt: Date | null }) =>
    !ended.includes(row.status) || row.nextSweepAt !== null
  const transfers = await transfersOf(shop, rows)
  const returned = new Set(transfers.filter(isToReturn).map(({ objectId }) => objectId))
  const out = (row: { id: string; status: string; nextSweepAt: Date | null }) =>
    open(row) || (returned.has(row.id) && ['succeeded', 'completed'].includes(row.status))
  return {
    payments: rows.payments.filter(open),
    refunds: rows.refunds.filter(out),
    payouts: rows.payouts.filter(out),
    deliveries: rows.deliveries.filter(open),
    commands: rows.commands.filter(open),
  }
}

function describe(open: Awaited<ReturnType<typeof openOf>>): string {
  return Object.entries(open)
    .filter(([, rows]) => rows.length > 0)
    .map(([kind, rows]) => `${rows.length} ${kind} open, such as ${JSON.stringify(rows[0])}`)
    .join('; ')
}

type Payment = typeof payments.$inferSelect

/** One object for each Idempotency-Key, which is what each of its answers said, and none beside. */
async function expectEachAnswerKept(shop: Shop): Promise<Money> {
  for (const { answers } of shop.client.asked) {
    expect(answers.length).toBeGreaterThan(0)
    expect(answers).toEqual(answers.map(() => answers[0]))
  }
  const rows = await rowsOf(shop)
  for (const kind of ['payments', 'refunds', 'payouts'] as const) {
    const asked = shop.client.asked.filter(({ path }) => path.endsWith(`/${kind}`))
    const made = asked.flatMap(({ answers: [one] }) => (one && 'id' in one ? [one.id] : []))
    expect(made.sort()).toEqual(rows[kind].map(({ id }) => id).sort())
  }
  const marked = [...rows.payments, ...rows.payouts].filter(({ needsAttention }) => needsAttention)
  expect(marked).toEqual([])
  return rows
}

/** Each was done or came too late, as its answer said. One ended each payment that waited for it. */
async function expectCommandsAnswered(shop: Shop, paid: Payment[]) {
  const rows = (await rowsOf(shop)).commands
  expect(rows.filter(({ nextSweepAt }) => nextSweepAt)).toEqual([])
  const done = rows.filter(({ status }) => status === 'done')
  expect(rows.filter(({ status }) => status === 'refused').length + done.length).toBe(rows.length)
  const asked = shop.client.asked.filter(isCommand)
  const obeyed = asked.filter(({ answers: [answer] }) => answer && 'id' in answer)
  const says = (one: Asked) => one.path.split('/').slice(-2).join(' ')
  expect(done.map(({ resourceId, kind }) => `${resourceId} ${kind}`).sort()).toEqual(
    obeyed.map(says).sort(),
  )

  const waited = paid.filter((one) => one.captureMethod === 'manual' && one.status !== 'failed')
  const ofPayments = done.filter(({ resourceId }) => paid.some(({ id }) => id === resourceId))
  expect(ofPayments.map((one) => one.resourceId).sort()).toEqual(waited.map(({ id }) => id).sort())
  for (const { id, amount, amountCaptured, status } of waited) {
    const command = done.find(({ resourceId }) => resourceId === id)
    expect({ status, amountCaptured }).toEqual(
      command?.kind === 'capture'
        ? { status: 'succeeded', amountCaptured: command.amount ?? amount }
        : { status: 'canceled', amountCaptured: 0 },
    )
    const answer = obeyed.find((one) => one.path.includes(id))?.answers[0]
    expect(answer).toMatchObject({ id, status, amount_captured: amountCaptured })
  }
  return rows
}

/** Each step of each object is told of, at least once, and each post that came in is logged. */
async function expectToldOfAll(shop: Shop, money: Money) {
  const { merchant, remit, posts } = shop
  const db = remit.db()
  const told = await db.select().from(events).where(eq(events.merchantId, merchant.id))
  const names = told.map((one) => `${one.resourceId} ${one.type}`)
  expect(names.filter((name) => !name.endsWith(' payout.processing')).sort()).toEqual(
    (await stepsOf(shop, money)).sort(),
  )
  expect(new Set(names).size).toBe(names.length)

  const received = countBy(posts.map(({ headers }) => `${headers['webhook-id']}`))
  expect([...received.keys()].sort()).toEqual(told.map(({ id }) => id).sort())

  const logged = await db
    .select({
      state: attempts.state,
      headers: attempts.requestHeaders,
      status: attempts.httpStatus,
    })
    .from(attempts)
    .innerJoin(deliveries, eq(deliveries.id, attempts.deliveryId))
    .where(eq(deliveries.merchantId, merchant.id))
  const rows = countBy(logged.map(({ headers }) => nameOf(headers)))
  const unlogged = [...countBy(posts.map(({ headers }) => nameOf(headers)))].filter(
    ([name, count]) => count > (rows.get(name) ?? 0),
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

/** Of one attempt: two within the same second have the same, and are counted. */
function nameOf(headers: Record<string, unknown>): string {
  return `${headers['webhook-id']} ${headers['webhook-timestamp']}`
}

function countBy(names: string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}
