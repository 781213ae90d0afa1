import { eq } from 'drizzle-orm'
import { balanceSign } from '../../core/ledger.ts'
import { balanceTransactions, ledgerAccounts, ledgerPostings } from '../../db/ledger-schema.ts'
import { sandboxCharges } from '../../db/sandbox-schema.ts'
import { commands, payments } from '../../db/schema.ts'
import { attempts, deliveries, events } from '../../db/webhook-schema.ts'
import { type Asked, isCommand } from './client.ts'
import type { Load } from './load.ts'
import type { Shop } from './shop.ts'

const ended = ['succeeded', 'failed', 'canceled', 'delivered', 'done', 'refused']

/**
 * Waits until the shop's payments, webhooks and commands have ended, and checks what has to be true
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
  const paid = await expectEachAnswerKept(shop)
  const told = await expectCommandsAnswered(shop, paid)
  await expectChargedOnce(shop, paid)
  await expectBalanced(shop, paid)
  const posted = await expectToldOfAll(shop, paid)
  expect(shop.remit.endedByThemselves).toEqual([])

  const requests = asked.reduce((sum, one) => sum + one.requests, 0)
  const line = [
    `${name}: ${faults}`,
    `${paid.length} payments and ${told.length} commands in ${requests} requests`,
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
  await shop.remit.untilDone(async () =>
    loaded ? describe(await openOf(shop)) : 'The load is not done',
  )
  await ending
}

async function rowsOf({ remit, merchant }: Shop) {
  const db = remit.db()
  return {
    payments: await db.select().from(payments).where(eq(payments.merchantId, merchant.id)),
    deliveries: await db.select().from(deliveries).where(eq(deliveries.merchantId, merchant.id)),
    commands: await db.select().from(commands).where(eq(commands.merchantId, merchant.id)),
  }
}

/** What has not ended yet. Rows that the sweep would still start count too. */
async function openOf(shop: Shop) {
  const rows = await rowsOf(shop)
  const open = (row: { status: string; nextSweepAt: Date | null }) =>
    !ended.includes(row.status) || row.nextSweepAt !== null
  return {
    payments: rows.payments.filter(open),
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

/** One payment for each Idempotency-Key, which is what each of its answers said, and none beside. */
async function expectEachAnswerKept(shop: Shop): Promise<Payment[]> {
  for (const { answers } of shop.client.asked) {
    expect(answers.length).toBeGreaterThan(0)
    expect(answers).toEqual(answers.map(() => answers[0]))
  }
  const rows = (await rowsOf(shop)).payments
  const posted = shop.client.asked.filter((one) => !isCommand(one)).map(({ answers }) => answers[0])
  expect(posted.map((one) => one && 'id' in one && one.id).sort()).toEqual(
    rows.map(({ id }) => id).sort(),
  )
  expect(rows.filter(({ needsAttention }) => needsAttention)).toEqual([])
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
  expect(done.map(({ resourceId }) => resourceId).sort()).toEqual(waited.map(({ id }) => id).sort())
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

/** Counted by the sandbox, in its own table. */
async function expectChargedOnce({ remit }: Shop, paid: Payment[]): Promise<void> {
  const charges = await remit.db().select().from(sandboxCharges)
  for (const { id, status, amount, amountCaptured, providerRef } of paid) {
    const made = charges.filter(({ paymentId }) => paymentId === id)
    expect(made).toMatchObject([{ id: providerRef, status, amount, amountCaptured }])
  }
}

/** Each sum of money is booked once, postings cancel out, and each balance is what was posted. */
async function expectBalanced({ remit, merchant }: Shop, paid: Payment[]): Promise<void> {
  const db = remit.db()
  const posted = await db
    .select()
    .from(balanceTransactions)
    .innerJoin(ledgerPostings, eq(ledgerPostings.transactionId, balanceTransactions.id))
    .where(eq(balanceTransactions.merchantId, merchant.id))
  const sums: Record<string, number> = {}
  const balances: Record<string, number> = {}
  const add = (to: Record<string, number>, key: string, amount: number) => {
    to[key] = (to[key] ?? 0) + amount
  }
  for (const { balance_transactions: transaction, ledger_postings: posting } of posted) {
    add(sums, transaction.currency, posting.amount)
    const sign = balanceSign(posting.account)
    if (sign) add(balances, `${posting.account} ${transaction.currency}`, sign * posting.amount)
  }
  expect(Object.values(sums)).toEqual(Object.values(sums).map(() => 0))

  const accounts = await db
    .select()
    .from(ledgerAccounts)
    .where(eq(ledgerAccounts.merchantId, merchant.id))
  for (const { account, currency, balance } of accounts)
    expect(balances[`${account} ${currency}`] ?? 0).toBe(balance)
  const captured = paid.reduce((sum, { amountCaptured }) => sum + amountCaptured, 0)
  expect(balances['available INR'] ?? 0).toBe(captured)
}

/** Each step of each payment is told of, at least once, and each post that came in is logged. */
async function expectToldOfAll(shop: Shop, paid: Payment[]) {
  const { merchant, remit, posts } = shop
  const db = remit.db()
  const told = await db.select().from(events).where(eq(events.merchantId, merchant.id))
  const expected = paid.flatMap(({ id, status, captureMethod }) => [
    `${id} payment.created`,
    ...(captureMethod === 'manual' && status !== 'failed' ? [`${id} payment.authorized`] : []),
    `${id} payment.${status}`,
  ])
  expect(told.map((one) => `${one.resourceId} ${one.type}`).sort()).toEqual(expected.sort())

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
