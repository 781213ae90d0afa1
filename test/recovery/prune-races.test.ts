import assert from 'node:assert/strict'
import { eq } from 'drizzle-orm'
import type { Db, Tx } from '../../db/client.ts'
import { dropEvents, dropKeys, oldestEvent } from '../../db/recovery/prune.ts'
import { idempotencyKeys } from '../../db/requests/schema.ts'
import { insertAttempt, takeUpDelivery } from '../../db/webhooks/attempts.ts'
import { resendDelivery } from '../../db/webhooks/deliveries.ts'
import { attempts, deliveries } from '../../db/webhooks/schema.ts'
import { testDb } from '../support/db.ts'
import { expectRefusal, testShop } from '../support/http.ts'
import { until } from '../support/stack.ts'
import { asDb, later, limit, now, testPruning } from './pruning.ts'

const db = testDb()
const given = testPruning(db)
const old = later(limit, -60_000)
const batch = { before: limit, after: oldestEvent, limit: 100 }
/** If there were more at once, a busy machine could lack connections for some. */
const TIMES = 16

let shop: Awaited<ReturnType<typeof testShop>>
beforeEach(async () => {
  shop = await testShop(db)
  await shop.call('POST', '/api/v1/webhook_endpoints', { url: 'https://shop.example/hooks' })
  await given.pruneEvents()
})

/** Runs `other` before `first` commits, and commits `first` once `other` waits for a lock. */
async function overtaking<T>(
  first: (tx: Tx) => Promise<unknown>,
  other: () => Promise<T>,
): Promise<PromiseSettledResult<T>> {
  let waiting: Promise<PromiseSettledResult<T>[]> | undefined
  await db.transaction(async (tx) => {
    await first(tx)
    waiting = Promise.allSettled([other()])
    await until(async () => (await waiters()) > 0, 'the other one to wait')
  })
  const [settled] = (await waiting) ?? []
  assert(settled)
  return settled
}

async function waiters(): Promise<number> {
  const { rows } = await db.$client.query(`select count(*)::int as count from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`)
  return rows[0].count
}

/** Runs `other` before `first` commits. `other` must not wait for `first`. */
async function beside<T>(first: (tx: Tx) => Promise<unknown>, other: () => Promise<T>) {
  return db.transaction(async (tx) => {
    await first(tx)
    return other()
  })
}

describe('An expired key that a request uses again', () => {
  const order = { amount: 100, currency: 'INR' }
  const post = (key: string) =>
    shop.call('POST', '/api/v1/orders', order, { 'idempotency-key': key })
  const expired = new Date(Date.now() - 25 * 3_600_000)
  const expire = () => db.update(idempotencyKeys).set({ createdAt: expired })
  const keys = () => db.$count(idempotencyKeys, eq(idempotencyKeys.merchantId, shop.merchant.id))

  test('serves the request as a new key if the prune is dropping it', async () => {
    const first = await post('k')
    await expire()
    const drop = (tx: Tx) => dropKeys(asDb(tx), new Date(), 10)
    const settled = await overtaking(drop, () => post('k'))
    assert(settled.status === 'fulfilled')
    expect(settled.value.status).toBe(201)
    expect(settled.value.body.id).not.toBe(first.body.id)
    expect((await post('k')).body.id).toBe(settled.value.body.id)
    expect(await keys()).toBe(1)
  })

  test('is skipped by the prune while the request is running', async () => {
    await post('k')
    await expire()
    const using = (tx: Tx) => tx.update(idempotencyKeys).set({ createdAt: new Date() })
    expect(await beside(using, () => dropKeys(db, new Date(), 10))).toBe(0)
    expect(await dropKeys(db, new Date(), 10)).toBe(0)
    expect(await keys()).toBe(1)
  })

  test('is stored afterwards, whether the request or the prune came first', async () => {
    const names = Array.from({ length: TIMES }, (_, n) => `k${n}`)
    await Promise.all(names.map(post))
    await expire()
    const drops = Array.from({ length: 4 }, () => dropKeys(db, new Date(), 5))
    const [answers] = await Promise.all([Promise.all(names.map(post)), Promise.all(drops)])
    expect(answers.map(({ status }) => status)).toEqual(Array(TIMES).fill(201))
    const again = await Promise.all(names.map(post))
    expect(again.map(({ body }) => body.id)).toEqual(answers.map(({ body }) => body.id))
  })
})

describe('A delivery that is sent again', () => {
  const resend = (id: string) => shop.call('POST', `/api/v1/webhook_deliveries/${id}/resend`)

  test('is refused with 404 if the prune is dropping it', async () => {
    const { deliveryId } = await given.addSentEvent(shop.merchant.id, old)
    const drop = (tx: Tx) => dropEvents(asDb(tx), batch)
    const settled = await overtaking(drop, () => resend(deliveryId))
    assert(settled.status === 'fulfilled')
    expectRefusal(settled.value, 404, 'not_found', null)
    expect(settled.value.body.error.message).toContain(deliveryId)
  })

  test('keeps its event, which the prune skips meanwhile', async () => {
    const { eventId, deliveryId } = await given.addSentEvent(shop.merchant.id, old)
    const resending = (tx: Tx) => resendDelivery(tx, shop.merchant.id, deliveryId, now)
    expect(await beside(resending, () => dropEvents(db, batch))).toMatchObject({ events: 0 })
    expect(await dropEvents(db, batch)).toMatchObject({ events: 0 })
    expect(await db.$count(deliveries, eq(deliveries.eventId, eventId))).toBe(2)
  })

  test('is made or refused with 404, whether the resend or the prune came first', async () => {
    const add = () => given.addSentEvent(shop.merchant.id, old)
    const sent = await Promise.all(Array.from({ length: TIMES }, add))
    const drops = Array.from({ length: 4 }, () => dropEvents(db, { ...batch, limit: 5 }))
    const [answers] = await Promise.all([
      Promise.all(sent.map(({ deliveryId }) => resend(deliveryId))),
      Promise.all(drops),
    ])
    for (const [n, { eventId }] of sent.entries()) {
      const count = await db.$count(deliveries, eq(deliveries.eventId, eventId))
      expect([answers[n]?.status, count]).toEqual(
        (await given.isThere(eventId)) ? [201, 2] : [404, 0],
      )
    }
  })
})

describe('A delivery that an operator resets', () => {
  const request = { url: 'https://shop.example', requestHeaders: {}, bodySha256: '0'.repeat(64) }
  const begin = (deliveryId: string, by = db as Db) =>
    insertAttempt(by, { deliveryId, runId: 'another', attempt: 1, ...request }, 'delivered', now)

  test('fails the batch that would drop it, and keeps its event and its attempts', async () => {
    const { deliveryId } = await given.addSentEvent(shop.merchant.id, old)
    const other = await given.addSentEvent(shop.merchant.id, old)
    const settled = await overtaking(
      (tx) => begin(deliveryId, asDb(tx)),
      () => dropEvents(db, batch),
    )
    expect(settled).toMatchObject({ status: 'rejected', reason: { cause: { code: '23503' } } })
    expect(await given.isThere(other.eventId)).toBe(true)
    expect(await dropEvents(db, batch)).toMatchObject({ events: 1 })
    expect(await db.$count(attempts, eq(attempts.deliveryId, deliveryId))).toBe(2)
  })

  test('is refused if the prune is dropping it', async () => {
    const { deliveryId } = await given.addSentEvent(shop.merchant.id, old)
    const drop = (tx: Tx) => dropEvents(asDb(tx), batch)
    expect(await overtaking(drop, () => begin(deliveryId))).toMatchObject({ status: 'rejected' })
    await expect(takeUpDelivery(db, deliveryId, 'another')).rejects.toMatchObject({
      code: 'not_found',
    })
  })
})
