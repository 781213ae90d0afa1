import { createHash } from 'node:crypto'
import { and, eq, sql } from 'drizzle-orm'
import { createCipher } from '../../core/secrets.ts'
import { payments } from '../../db/payments/schema.ts'
import { lockKey } from '../../db/requests/idempotency.ts'
import { idempotencyKeys } from '../../db/requests/schema.ts'
import { providerFor } from '../../providers/index.ts'
import { callAs, testProviders } from '../support/app.ts'
import { addMerchant, testDb } from '../support/db.ts'
import {
  appWith,
  byCard,
  card,
  cardNumber,
  contents,
  cvcInText,
  expectRefusal,
  testShop,
  upi,
} from '../support/http.ts'

const db = testDb()
afterEach(() => jest.restoreAllMocks())

const path = '/api/v1/payments'
const withKey = (key: string) => ({ 'idempotency-key': key })

async function recordsOf(merchantId: string) {
  return db.select().from(idempotencyKeys).where(eq(idempotencyKeys.merchantId, merchantId))
}

async function paymentsOf(merchantId: string) {
  return db.select().from(payments).where(eq(payments.merchantId, merchantId))
}

test('a repeat with the same key gets the first answer with Idempotent-Replayed', async () => {
  const { call, started, merchant } = await testShop(db)
  const first = await call('POST', path, upi, withKey('a'))
  expect([first.status, first.headers.get('idempotent-replayed')]).toEqual([201, null])
  const before = await contents(db)
  const again = await call('POST', path, upi, withKey('a'))
  expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([201, 'true'])
  expect(again.body).toStrictEqual(first.body)
  expect(await contents(db)).toEqual(before)
  expect(started).toHaveLength(1)
  expect(await paymentsOf(merchant.id)).toHaveLength(1)
})

test('each request without an Idempotency-Key makes a payment', async () => {
  const { call, merchant } = await testShop(db)
  const first = await call('POST', path, upi)
  const second = await call('POST', path, upi)
  expect(second.headers.get('idempotent-replayed')).toBeNull()
  expect(second.body.id).not.toBe(first.body.id)
  expect(await recordsOf(merchant.id)).toEqual([])
})

test.each([
  { amount: 50_001 },
  { vpa: 'other@upi' },
  { metadata: { cart: '1' } },
  { description: 'x' },
])('a key that was used with another body is refused with 422: %j', async (change) => {
  const { call } = await testShop(db)
  await call('POST', path, upi, withKey('a'))
  const before = await contents(db)
  const other = await call('POST', path, { ...upi, ...change }, withKey('a'))
  expectRefusal(other, 422, 'idempotency_key_reused', 'Idempotency-Key')
  expect(await contents(db)).toEqual(before)
})

test('fifty requests with one key at the same time make one payment', async () => {
  const { call, started, merchant } = await testShop(db)
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => call('POST', path, upi, withKey('fifty'))),
  )
  const replayed = answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')
  const refused = answers.filter(({ status }) => status !== 201)
  for (const answer of refused) {
    expectRefusal(answer, 409, 'idempotency_key_in_use', 'Idempotency-Key')
    expect(answer.headers.get('retry-after')).toBe('1')
  }
  expect(answers.length - replayed.length - refused.length).toBe(1)
  const made = await paymentsOf(merchant.id)
  expect(made).toHaveLength(1)
  const ids = answers.filter(({ status }) => status === 201).map(({ body }) => body.id)
  expect(new Set(ids)).toEqual(new Set([made[0]?.id]))
  expect(started.map(({ workflowId }) => workflowId)).toEqual([made[0]?.id])
})

test('a request is refused with 409 at once while another request with its key runs', async () => {
  const { call, merchant } = await testShop(db)
  const scope = { merchantId: merchant.id, method: 'POST', path, key: 'slow', fingerprints: [] }
  await db.transaction(async (tx) => {
    await lockKey(tx, scope, new Date())
    const answer = await call('POST', path, upi, withKey('slow'))
    expectRefusal(answer, 409, 'idempotency_key_in_use', 'Idempotency-Key')
    expect((await call('POST', path, upi, withKey('other'))).status).toBe(201)
  })
  const after = await call('POST', path, upi, withKey('slow'))
  expect([after.status, after.headers.get('idempotent-replayed')]).toEqual([201, null])
})

test('a key counts as new on another path and for another merchant', async () => {
  const [shop, other] = [await testShop(db), await testShop(db)]
  const { call } = shop
  const payment = await call('POST', path, upi, withKey('same'))
  const order = { amount: 700, currency: 'INR' }
  const answers = [
    await call('POST', '/api/v1/orders', order, withKey('same')),
    await other.call('POST', path, upi, withKey('same')),
    await other.call('POST', path, { ...upi, amount: 1 }, withKey('same2')),
  ]
  for (const { status, headers, body } of answers) {
    expect([status, headers.get('idempotent-replayed')]).toEqual([201, null])
    expect(body.id).not.toBe(payment.body.id)
  }
})

test('a refused request leaves its key free', async () => {
  const { call, merchant } = await testShop(db)
  const invalid = await call('POST', path, { ...upi, amount: 0 }, withKey('a'))
  expectRefusal(invalid, 400, 'invalid_request', 'amount')
  const unknown = await call('POST', path, { ...upi, order_id: 'ORDER_404' }, withKey('a'))
  expectRefusal(unknown, 404, 'order_not_found', 'order_id')
  expect(await recordsOf(merchant.id)).toEqual([])
  const good = await call('POST', path, upi, withKey('a'))
  expect([good.status, good.headers.get('idempotent-replayed')]).toEqual([201, null])
})

test('a key that is empty or longer than 255 characters is refused with 400', async () => {
  const { call } = await testShop(db)
  expect((await call('POST', path, upi, withKey('k'.repeat(255)))).status).toBe(201)
  const before = await contents(db)
  for (const key of ['k'.repeat(256), '']) {
    const answer = await call('POST', path, upi, withKey(key))
    expectRefusal(answer, 400, 'invalid_request', 'Idempotency-Key')
  }
  expect(await contents(db)).toEqual(before)
})

test('a key replays its answer for 24 hours and is new afterwards', async () => {
  const { call, merchant } = await testShop(db)
  const first = await call('POST', path, upi, withKey('old'))
  const age = (text: string) =>
    db
      .update(idempotencyKeys)
      .set({ createdAt: sql`now() - ${text}::interval` })
      .where(and(eq(idempotencyKeys.merchantId, merchant.id), eq(idempotencyKeys.key, 'old')))
  await age('23:59:00')
  expect((await call('POST', path, upi, withKey('old'))).body.id).toBe(first.body.id)
  await age('24:00:01')
  const changed = { ...upi, amount: 7 }
  const later = await call('POST', path, changed, withKey('old'))
  expect([later.status, later.headers.get('idempotent-replayed')]).toEqual([201, null])
  expect(later.body.id).not.toBe(first.body.id)
  const again = await call('POST', path, changed, withKey('old'))
  expect([again.headers.get('idempotent-replayed'), again.body.id]).toEqual(['true', later.body.id])
  expect(await recordsOf(merchant.id)).toHaveLength(1)
})

test('the stored record of a key cannot be guessed back to a card', async () => {
  const keys = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
  const fingerprints = []
  for (const key of keys) {
    const merchant = await addMerchant(db)
    const call = callAs(appWith(db, { cipher: createCipher([key]) }), merchant)
    expect((await call('POST', path, byCard, withKey('card'))).status).toBe(201)
    const [record] = await recordsOf(merchant.id)
    fingerprints.push(record?.fingerprint)
    expect(JSON.stringify(record)).not.toContain(cardNumber)
    expect(JSON.stringify(record)).not.toMatch(cvcInText)
  }
  expect(fingerprints[0]).toMatch(/^[0-9a-f]{64}$/)
  expect(fingerprints[1]).not.toBe(fingerprints[0])
  const { card: _, ...rest } = byCard
  const defaults = { capture_method: 'automatic', metadata: {} }
  const texts = [byCard, { ...byCard, ...defaults }, { card, ...rest, ...defaults }, card]
  for (const text of [...texts.map((value) => JSON.stringify(value)), cardNumber])
    for (const hash of ['md5', 'sha1', 'sha256', 'sha512'])
      expect(fingerprints).not.toContain(createHash(hash).update(text).digest('hex'))
})

test('a request is still recognised after the encryption key was rotated', async () => {
  const merchant = await addMerchant(db)
  const [old, current] = [Buffer.alloc(32, 3), Buffer.alloc(32, 4)]
  const before = callAs(appWith(db, { cipher: createCipher([old]) }), merchant)
  const after = callAs(appWith(db, { cipher: createCipher([current, old]) }), merchant)
  const first = await before('POST', path, upi, withKey('a'))
  const again = await after('POST', path, upi, withKey('a'))
  expect([again.headers.get('idempotent-replayed'), again.body.id]).toEqual(['true', first.body.id])
  const changed = await after('POST', path, { ...upi, amount: 1 }, withKey('a'))
  expectRefusal(changed, 422, 'idempotency_key_reused')
  await after('POST', path, upi, withKey('b'))
  const fingerprints = (await recordsOf(merchant.id)).map(({ fingerprint }) => fingerprint)
  expect(new Set(fingerprints).size).toBe(2) // one request has one fingerprint under each key
})

describe('a card payment', () => {
  async function countingShop() {
    const sandbox = providerFor(testProviders(db), 'sandbox')
    const exchange = jest.spyOn(sandbox, 'createCardToken')
    return { ...(await testShop(db, { providers: { sandbox } })), exchange }
  }

  test('does not exchange the card again when it is repeated', async () => {
    const { call, exchange } = await countingShop()
    const first = await call('POST', path, byCard, withKey('a'))
    const again = await call('POST', path, byCard, withKey('a'))
    expect([again.headers.get('idempotent-replayed'), again.body]).toEqual(['true', first.body])
    expect(exchange).toHaveBeenCalledTimes(1)
  })

  test.each([
    { cvc: '976' },
    { number: '4242424242424242' },
    { exp_month: 11 },
    { name: 'A. Rao' },
  ])('is refused with 422 when its key was used with another card: %j', async (change) => {
    const { call, exchange } = await countingShop()
    await call('POST', path, byCard, withKey('a'))
    const other = { ...byCard, card: { ...card, ...change } }
    const answer = await call('POST', path, other, withKey('a'))
    expectRefusal(answer, 422, 'idempotency_key_reused', 'Idempotency-Key')
    expect(exchange).toHaveBeenCalledTimes(1)
  })

  test('leaves its key free when the exchange of the card fails', async () => {
    const { call, exchange } = await countingShop()
    exchange.mockRejectedValueOnce(new Error('away'))
    expectRefusal(await call('POST', path, byCard, withKey('a')), 503, 'unavailable')
    expect((await call('POST', path, byCard, withKey('a'))).status).toBe(201)
  })
})
