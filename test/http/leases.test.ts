import { and, eq } from 'drizzle-orm'
import type { CardToken } from '../../core/money/card.ts'
import { payments } from '../../db/payments/schema.ts'
import { lockKey } from '../../db/requests/idempotency.ts'
import { idempotencyKeys } from '../../db/requests/schema.ts'
import { providerFor } from '../../providers/index.ts'
import { testProviders } from '../support/app.ts'
import { testDb } from '../support/db.ts'
import { byCard, expectRefusal, testShop, upi } from '../support/http.ts'
import { pause, until } from '../support/stack.ts'

const db = testDb()
afterEach(() => jest.restoreAllMocks())

const path = '/api/v1/payments'
const token: CardToken = { token: 'tok_succeeds', brand: 'visa', last4: '6467' }

/** Makes a shop whose provider answers when the test says so. `exchanges` are its open calls. */
async function slowShop() {
  const exchanges: { answer: () => void; fail: () => void }[] = []
  const sandbox = providerFor(testProviders(db), 'sandbox')
  const createCardToken = () =>
    new Promise<CardToken>((resolve, reject) => {
      exchanges.push({ answer: () => resolve(token), fail: () => reject(new Error('away')) })
    })
  const shop = await testShop(db, { providers: { sandbox: { ...sandbox, createCardToken } } })
  const post = (key: string, body: object = byCard) =>
    shop.call('POST', path, body, { 'idempotency-key': key })
  const merchantId = shop.merchant.id
  const ofShop = eq(idempotencyKeys.merchantId, merchantId)
  return {
    post,
    call: shop.call,
    exchanges,
    merchantId,
    /** Begins a payment, waits until it has called the provider, and returns its future answer. */
    async begin(key: string, body: object = byCard) {
      const before = exchanges.length
      const answer = post(key, body)
      await until(async () => exchanges.length > before)
      return { answer, exchange: exchanges[before] as (typeof exchanges)[number] }
    },
    made: () => db.$count(payments, eq(payments.merchantId, merchantId)),
    records: () => db.select().from(idempotencyKeys).where(ofShop),
    /** Makes the lease look expired. */
    endLease: () =>
      db
        .update(idempotencyKeys)
        .set({ leasedUntil: new Date(Date.now() - 1) })
        .where(ofShop),
  }
}

describe('while a card is exchanged', () => {
  test('a second request with its key gets 409 at once, and the card is exchanged once', async () => {
    const { begin, post, exchanges, made } = await slowShop()
    const { answer, exchange } = await begin('a')
    const second = await post('a')
    expectRefusal(second, 409, 'idempotency_key_in_use', 'Idempotency-Key')
    expect(second.headers.get('retry-after')).toBe('1')
    exchange.answer()
    const first = await answer
    expect(first.status).toBe(201)
    const third = await post('a')
    expect([third.headers.get('idempotent-replayed'), third.body]).toEqual(['true', first.body])
    expect([exchanges.length, await made()]).toEqual([1, 1])
  })

  test('the key with another body is refused with 422', async () => {
    const { begin, post } = await slowShop()
    const { answer, exchange } = await begin('a')
    const other = await post('a', { ...byCard, amount: 1 })
    expectRefusal(other, 422, 'idempotency_key_reused', 'Idempotency-Key')
    exchange.answer()
    expect((await answer).status).toBe(201)
  })

  test('requests with another key or of another merchant do not wait', async () => {
    const [shop, other] = [await slowShop(), await slowShop()]
    const begun = [await shop.begin('a'), await shop.begin('b'), await other.begin('a')]
    for (const { exchange } of begun) exchange.answer()
    for (const { answer } of begun) expect((await answer).status).toBe(201)
  })

  test('a request that only looks at the key does not take the key from its holder', async () => {
    const { begin, merchantId } = await slowShop()
    const { answer, exchange } = await begin('a')
    const scope = { merchantId, method: 'POST', path, key: 'a', fingerprints: [] }
    await db.transaction(async (tx) => {
      await expect(lockKey(tx, scope, new Date())).rejects.toThrow()
      exchange.answer()
      await pause(300)
    })
    expect((await answer).status).toBe(201)
  })
})

test('fifty card payments with one key exchange the card once', async () => {
  const { call, exchanges, post, made } = await slowShop()
  const posts = Array.from({ length: 50 }, () => post('fifty'))
  await until(async () => exchanges.length > 0)
  await call('GET', path)
  for (const { answer } of exchanges) answer()
  const answers = await Promise.all(posts)
  const refused = answers.filter(({ status }) => status !== 201)
  for (const answer of refused) expectRefusal(answer, 409, 'idempotency_key_in_use')
  expect(answers.filter(({ status }) => status === 201).length).toBeGreaterThan(0)
  expect([exchanges.length, await made()]).toEqual([1, 1])
})

describe('a leased key', () => {
  test('is free again once the exchange has failed', async () => {
    const { begin, records } = await slowShop()
    const first = await begin('a')
    first.exchange.fail()
    expectRefusal(await first.answer, 503, 'unavailable')
    expect(await records()).toEqual([])
    const second = await begin('a', { ...byCard, amount: 1 })
    second.exchange.answer()
    expect((await second.answer).body).toMatchObject({ object: 'payment', amount: 1 })
  })

  test('is free again once the payment is refused after the exchange', async () => {
    const { begin, call, records, made } = await slowShop()
    await call('POST', '/api/v1/orders', { amount: 7, currency: 'INR', reference: 'SEVEN' })
    const first = await begin('a', { ...byCard, order_id: 'SEVEN' })
    first.exchange.answer()
    expectRefusal(await first.answer, 422, 'order_mismatch', 'amount')
    expect([await records(), await made()]).toEqual([[], 0])
    const second = await begin('a', { ...byCard, order_id: 'SEVEN', amount: 7 })
    second.exchange.answer()
    expect((await second.answer).status).toBe(201)
  })

  test('is free again 30 seconds after it was leased by a process that was killed', async () => {
    const { begin, post, records, made, endLease } = await slowShop()
    const killed = await begin('a')
    const [lease] = await records()
    killed.exchange.fail()
    await killed.answer
    if (!lease?.leasedUntil) throw new Error('It was not leased')
    await db.insert(idempotencyKeys).values(lease) // a killed process does not release its key
    expect(lease.leasedUntil.getTime() - lease.createdAt.getTime()).toBe(30_000)

    expectRefusal(await post('a'), 409, 'idempotency_key_in_use')
    await endLease()
    const next = await begin('a')
    next.exchange.answer()
    expect([(await next.answer).status, await made()]).toEqual([201, 1])
  })

  test('is free again after 24 hours, even while its request still runs', async () => {
    const { begin, post, records, made } = await slowShop()
    const { answer, exchange } = await begin('a')
    const dayAgo = new Date(Date.now() - 24 * 3_600_000)
    const [lease] = await records()
    const theKey = and(eq(idempotencyKeys.merchantId, lease?.merchantId ?? ''))
    await db.update(idempotencyKeys).set({ createdAt: dayAgo }).where(theKey)
    expect((await post('a', upi)).status).toBe(201)
    exchange.answer()
    expectRefusal(await answer, 409, 'idempotency_key_in_use')
    expect(await made()).toBe(1)
  })
})

describe('a request that is slower than its lease', () => {
  test('still writes if no other request has overtaken it', async () => {
    const { begin, made, endLease } = await slowShop()
    const { answer, exchange } = await begin('a')
    await endLease()
    exchange.answer()
    expect([(await answer).status, await made()]).toEqual([201, 1])
  })

  test('writes nothing after the next request has written', async () => {
    const { begin, post, made, endLease } = await slowShop()
    const slow = await begin('a')
    await endLease()
    const next = await begin('a')
    next.exchange.answer()
    const { status, body } = await next.answer
    expect(status).toBe(201)
    slow.exchange.answer()
    expectRefusal(await slow.answer, 409, 'idempotency_key_in_use', 'Idempotency-Key')
    expect(await made()).toBe(1)
    expect((await post('a')).body).toEqual(body)
  })

  test.each(['answer', 'fail'] as const)(
    'neither writes nor frees the key while the next request runs: %s',
    async (end) => {
      const { begin, post, made, endLease, exchanges } = await slowShop()
      const slow = await begin('a')
      await endLease()
      const next = await begin('a')
      slow.exchange[end]()
      expect((await slow.answer).status).toBe(end === 'answer' ? 409 : 503)
      expectRefusal(await post('a'), 409, 'idempotency_key_in_use')
      expect(await made()).toBe(0)
      next.exchange.answer()
      expect([(await next.answer).status, await made()]).toEqual([201, 1])
      expect(exchanges).toHaveLength(2)
    },
  )
})
