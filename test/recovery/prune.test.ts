import { eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import type { Db } from '../../db/client.ts'
import { dropEvents, oldestEvent } from '../../db/recovery/prune.ts'
import { idempotencyKeys } from '../../db/requests/schema.ts'
import { attempts, deliveries, events } from '../../db/webhooks/schema.ts'
import { addMerchant, testDb } from '../support/db.ts'
import { contents, rowCounts, testShop, upi } from '../support/http.ts'
import { addEndpoint } from '../webhooks/delivery.ts'
import { later, limit, now, testPruning } from './pruning.ts'

const db = testDb()
const DAY_MS = 24 * 60 * 60_000
let statements = 0
const logger = { logQuery: () => void statements++ }
const watched: Db = drizzle({ client: db.$client, casing: 'snake_case', logger })
const { pruneKeys, pruneEvents, ...given } = testPruning(watched)
const nothing = { events: 0, deliveries: 0, attempts: 0, next: null }

let merchantId: string
beforeEach(async () => {
  await db.execute(sql`truncate events, idempotency_keys cascade`)
  merchantId = (await addMerchant(db)).id
  await addEndpoint(db, { merchantId, url: 'https://shop.example/hooks' })
})

describe('An event', () => {
  test('is dropped with its deliveries and attempts when it is older than the retention', async () => {
    const shop = await testShop(db)
    await shop.call('POST', '/api/v1/payments', upi)
    const young = await given.addSentEvent(merchantId, limit)
    const kept = await contents(db)
    const old = await given.addSentEvent(merchantId, later(limit, -1))
    expect(await pruneEvents()).toEqual({ events: 1, deliveries: 1, attempts: 1, next: null })
    expect([await given.isThere(old.eventId), await given.isThere(young.eventId)]).toEqual([
      false,
      true,
    ])
    expect(await contents(db)).toEqual(kept)
    expect(await pruneEvents()).toEqual(nothing)
  })

  test.each([
    [0, false],
    [-1, true],
  ])('without any delivery, made %d ms from the limit, is dropped: %s', async (ms, goes) => {
    const { id } = await addMerchant(db)
    await addEndpoint(db, { merchantId: id, url: 'https://a.example', eventTypes: ['order.paid'] })
    await db.insert(events).values({
      id: 'evt_1',
      merchantId: id,
      type: 'payment.failed',
      resourceId: 'pay_1',
      body: '{}',
      createdAt: later(limit, ms),
    })
    expect(await pruneEvents()).toEqual({ ...nothing, events: goes ? 1 : 0 })
  })

  test('stays as long as one of its deliveries is pending', async () => {
    const added = await given.addEvent(merchantId, later(limit, -DAY_MS))
    expect(await pruneEvents()).toEqual(nothing)
    await given.send(added, later(limit, -1))
    expect(await pruneEvents()).toMatchObject({ events: 1, deliveries: 1, attempts: 1 })
  })

  test.each([
    [0, false],
    [-1, true],
  ])('that was sent %d ms from the limit is dropped: %s', async (ms, goes) => {
    const old = later(limit, -DAY_MS)
    const { eventId } = await given.addSentEvent(merchantId, old, later(limit, ms))
    expect(await pruneEvents()).toMatchObject({ events: goes ? 1 : 0 })
    expect(await given.isThere(eventId)).toBe(!goes)
  })

  test.each([
    [0, false],
    [-1, true],
  ])('that was sent again %d ms from the limit is dropped: %s', async (ms, goes) => {
    const sent = await given.addSentEvent(merchantId, later(limit, -DAY_MS))
    const again = await given.resend(merchantId, sent.deliveryId, later(limit, ms))
    // A clock that was set back can make a delivery newer than its last attempt.
    await given.send({ ...sent, deliveryId: again }, later(limit, -DAY_MS))
    expect(await pruneEvents()).toMatchObject({ events: goes ? 1 : 0 })
    expect(await db.$count(deliveries, eq(deliveries.eventId, sent.eventId))).toBe(goes ? 0 : 2)
  })

  test('stays whole while it is being sent again, and is dropped with all its deliveries afterwards', async () => {
    const old = later(limit, -DAY_MS)
    const sent = await given.addSentEvent(merchantId, old)
    const second = await given.resend(merchantId, sent.deliveryId, old)
    expect(await pruneEvents()).toEqual(nothing)
    await given.send({ ...sent, deliveryId: second }, old)
    const third = await given.resend(merchantId, second, old)
    await given.send({ ...sent, deliveryId: third }, old)
    expect(await db.$count(attempts)).toBe(3)
    expect(await pruneEvents()).toMatchObject({ events: 1, deliveries: 3, attempts: 3 })
  })
})

test('a batch drops only events that are not in use, and the next batch begins after it', async () => {
  const old = later(limit, -DAY_MS)
  const pending = await given.addEvent(merchantId, old)
  await given.copyEvent(pending.eventId, 4, { withDelivery: true }) // older, by microseconds
  const sent = await given.addSentEvent(merchantId, later(old, 1))
  const batch = { before: limit, limit: 4 }
  const first = await dropEvents(db, { ...batch, after: oldestEvent })
  expect(first).toMatchObject({ events: 0, next: { id: `${pending.eventId}1` } })
  const second = await dropEvents(db, { ...batch, after: first.next ?? oldestEvent })
  expect(second).toEqual({ events: 1, deliveries: 1, attempts: 1, next: null })
  expect(await given.isThere(sent.eventId)).toBe(false)
  expect(await db.$count(events)).toBe(5)
})

test('events of the same moment are taken in batches by their id', async () => {
  const at = later(limit, -DAY_MS)
  for (let n = 0; n < 5; n++) await given.addEvent(merchantId, at)
  const seen: (string | undefined)[] = []
  let after = oldestEvent
  for (let n = 0; n < 5; n++) {
    const { next } = await dropEvents(db, { before: limit, after, limit: 1 })
    seen.push(next?.id)
    after = next ?? oldestEvent
  }
  const ids = await db.select({ id: events.id }).from(events).orderBy(events.id)
  expect(seen).toEqual(ids.map(({ id }) => id))
})

describe('An idempotency key', () => {
  async function addKey(createdAt: Date) {
    const scope = { merchantId, method: 'POST', path: '/api/v1/orders', key: `${+createdAt}` }
    const answer = { responseStatus: 201, responseBody: 'sealed' }
    await db.insert(idempotencyKeys).values({ ...scope, ...answer, fingerprint: 'f', createdAt })
  }

  test('is dropped when it is older than 24 hours', async () => {
    await addKey(later(now, -DAY_MS))
    const kept = await contents(db)
    await addKey(later(now, -DAY_MS - 1))
    expect(await pruneKeys()).toEqual({ keys: 1, more: false })
    expect(await contents(db)).toEqual(kept)
  })

  test('is dropped without the command that it stands for', async () => {
    const { call } = await testShop(db)
    const { body } = await call('POST', '/api/v1/payments', upi)
    const key = { 'idempotency-key': 'cancel' }
    await call('POST', `/api/v1/payments/${body.id}/cancel`, {}, key)
    await db.update(idempotencyKeys).set({ createdAt: later(now, -2 * DAY_MS) })
    const before = await rowCounts(db)
    expect(before).toMatchObject({ commands: 1, idempotency_keys: 1 })
    expect(await pruneKeys()).toEqual({ keys: 1, more: false })
    expect(await rowCounts(db)).toEqual({ ...before, idempotency_keys: 0 })
  })
})

test('ten thousand keys and events are dropped in bounded statements, past events that must stay', async () => {
  const old = later(limit, -DAY_MS)
  const pending = await given.addEvent(merchantId, later(old, -DAY_MS))
  await given.copyEvent(pending.eventId, 999, { withDelivery: true })
  const sent = await given.addSentEvent(merchantId, old)
  await given.copyEvent(sent.eventId, 9_999, { withDelivery: true })
  const expired = later(now, -2 * DAY_MS).toISOString()
  await db.execute(sql`insert into idempotency_keys (merchant_id, method, path, key, fingerprint,
      response_status, response_body, created_at)
    select ${merchantId}, 'POST', '/', n, 'f', 201, '', ${expired} from generate_series(1, 10000) n`)
  statements = 0
  const dropped = { keys: 0, events: 0, pages: 0 }
  for (let more = true; more; dropped.pages++) {
    const page = await pruneKeys()
    dropped.keys += page.keys
    more = page.more
  }
  for (let after: typeof oldestEvent | null = oldestEvent; after; dropped.pages++) {
    const page = await pruneEvents(after)
    dropped.events += page.events
    after = page.next
  }
  expect(dropped).toEqual({ keys: 10_000, events: 10_000, pages: 3 + 3 })
  // Each batch has 500 rows, and the last is empty. A batch of events adds a begin and a commit.
  expect(statements).toBe(21 + 2 * 4 + 20 * 7 + 4)
  expect([await db.$count(events), await db.$count(idempotencyKeys)]).toEqual([1_000, 0])
})
