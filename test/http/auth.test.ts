import { eq } from 'drizzle-orm'
import { sha256 } from '../../core/secrets.ts'
import { newId } from '../../db/ids.ts'
import { insertMerchant, newKeyPair } from '../../db/merchants/merchants.ts'
import { apiKeys } from '../../db/merchants/schema.ts'
import { callAs, routesOf, testApp } from '../support/app.ts'
import { addMerchant, type Merchant, testDb } from '../support/db.ts'
import { expectRefusal, tableTexts, testShop } from '../support/http.ts'

const db = testDb()
const { app } = testApp(db)
const anybody = callAs(app, null)
const get = (headers: Record<string, string>) =>
  anybody('GET', '/api/v1/payments', undefined, headers)
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

async function keyRow({ key }: Merchant) {
  const [row] = await db.select().from(apiKeys).where(eq(apiKeys.key, key))
  return row
}

test('the pair of X-Api-Key and X-Api-Secret opens the API', async () => {
  const { key, secret } = await addMerchant(db)
  expect((await get({ 'x-api-key': key, 'x-api-secret': secret })).status).toBe(200)
  expect((await get({ 'X-API-KEY': key, 'X-Api-Secret': secret })).status).toBe(200)
})

test('the secret alone opens the API as a bearer token', async () => {
  const { secret } = await addMerchant(db)
  expect((await get(bearer(secret))).status).toBe(200)
  expect((await get({ authorization: `bearer ${secret}` })).status).toBe(200)
})

test('a request without credentials is refused with 401 and a message that names X-Api-Secret', async () => {
  const answer = await get({})
  expectRefusal(answer, 401, 'unauthorized', null)
  expect(answer.headers.get('www-authenticate')).toBe('Bearer')
  expect(answer.body.error.message).toContain('X-Api-Secret')
})

test('wrong credentials are refused with 401', async () => {
  const [shop, other] = [await addMerchant(db), await addMerchant(db)]
  const wrong: Record<string, string>[] = [
    { 'x-api-key': shop.key, 'x-api-secret': `${shop.secret}x` },
    { 'x-api-key': shop.key, 'x-api-secret': '' },
    { 'x-api-key': shop.key, 'x-api-secret': other.secret },
    { 'x-api-key': shop.key, 'x-api-secret': sha256(shop.secret) },
    { 'x-api-key': 'key_unknown', 'x-api-secret': shop.secret },
    { 'x-api-key': 'key_unknown' },
    { 'x-api-secret': shop.secret },
    { 'x-api-key': "' or 1=1 --", 'x-api-secret': 'x' },
    bearer('secret_unknown'),
    bearer(sha256(shop.secret)),
    { authorization: `Basic ${Buffer.from(`${shop.key}:${shop.secret}`).toString('base64')}` },
    { authorization: shop.secret },
    { authorization: 'Bearer ' },
  ]
  for (const headers of wrong) expectRefusal(await get(headers), 401, 'unauthorized')
})

test('credentials that contradict each other are refused with 401, even if one of them is right', async () => {
  const [shop, other] = [await addMerchant(db), await addMerchant(db)]
  const pair = { 'x-api-key': shop.key, 'x-api-secret': shop.secret }
  expect((await get({ ...pair, ...bearer(shop.secret) })).status).toBe(200)
  expect((await get({ 'x-api-key': shop.key, ...bearer(shop.secret) })).status).toBe(200)
  const conflicting: Record<string, string>[] = [
    { ...pair, ...bearer(other.secret) },
    { ...pair, ...bearer('secret_unknown') },
    { ...pair, ...bearer(shop.key) },
    { 'x-api-secret': other.secret, ...bearer(shop.secret) },
    { 'x-api-key': shop.key, ...bearer(other.secret) },
  ]
  for (const headers of conflicting) expectRefusal(await get(headers), 401, 'unauthorized')
})

test('a wrong credential beside a right one is refused with 401', async () => {
  const { key, secret } = await addMerchant(db)
  const right = [{ 'x-api-key': key, 'x-api-secret': secret }, bearer(secret)]
  const basic = `Basic ${Buffer.from(`${key}:${secret}`).toString('base64')}`
  const tokens = ['', 'Bearer', basic, secret, `Token ${secret}`, `Bearer ${secret} x`, 'Bearer x']
  const wrong: Record<string, string>[] = [
    ...tokens.map((authorization) => ({ authorization })),
    { 'x-api-key': '' },
    { 'x-api-key': 'key_unknown' },
    { 'x-api-key': secret },
    { 'x-api-secret': '' },
    { 'x-api-secret': key },
  ]
  for (const credentials of right)
    for (const extra of wrong)
      expect([extra, (await get({ ...credentials, ...extra })).status]).toEqual([extra, 401])
})

test.each(['Authorization', 'X-Api-Key', 'X-Api-Secret'])(
  'a request with two %s headers is refused with 400, even if both are right',
  async (name) => {
    const { key, secret } = await addMerchant(db)
    const headers = new Headers({ 'x-api-key': key, 'x-api-secret': secret, ...bearer(secret) })
    headers.append(name, headers.get(name) ?? '')
    const answer = await app.request('/api/v1/payments', { headers })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error: { code: 'invalid_request', param: name } })
  },
)

test('a revoked API key is refused with 401', async () => {
  const shop = await addMerchant(db)
  await db.update(apiKeys).set({ revokedAt: new Date() }).where(eq(apiKeys.key, shop.key))
  const pair = { 'x-api-key': shop.key, 'x-api-secret': shop.secret }
  expectRefusal(await get(pair), 401, 'unauthorized')
  expectRefusal(await get(bearer(shop.secret)), 401, 'unauthorized')
  expectRefusal(await get({ 'x-api-key': shop.key }), 401, 'unauthorized')
  expectRefusal(await get(bearer(shop.key)), 401, 'unauthorized')
  expect((await keyRow(shop))?.lastUsedAt).toBeNull()
})

test('the publishable key alone is refused with 403 and X-Api-Secret as the param', async () => {
  const { key } = await addMerchant(db)
  expectRefusal(await get({ 'x-api-key': key }), 403, 'secret_key_required', 'X-Api-Secret')
  expectRefusal(await get(bearer(key)), 403, 'secret_key_required', 'X-Api-Secret')
})

test('unknown routes and methods are refused with 401 if the request has no credentials', async () => {
  expectRefusal(await anybody('GET', '/api/v1/no_such_route'), 401, 'unauthorized')
  expectRefusal(await anybody('PUT', '/api/v1/payments'), 401, 'unauthorized')
})

/** These routes need no secret. A new route that needs none fails a test unless listed here. */
const open = /^GET \/(health|ready|openapi\.json|docs|docs\/.+)$/
/** Payers need no secret, because a link's id cannot be guessed: see test/payments/pay.test.ts. */
const payers = ['GET /pay/:id', 'POST /pay/:id']
const isOpen = (route: string) => open.test(route) || payers.includes(route)

test.each(routesOf(app).filter((route) => !isOpen(route)))(
  '%s refuses a request whose secret is missing, wrong or revoked',
  async (route) => {
    const [method = '', path = ''] = route.split(' ')
    const [{ key, secret }, gone] = [await addMerchant(db), await addMerchant(db)]
    await db.update(apiKeys).set({ revokedAt: new Date() }).where(eq(apiKeys.key, gone.key))
    const bad: [status: number, headers: Record<string, string>][] = [
      [401, {}],
      [403, { 'x-api-key': key }],
      [403, bearer(key)],
      [401, { 'x-api-key': key, 'x-api-secret': `${secret}x` }],
      [401, bearer(`${secret}x`)],
      [401, { 'x-api-key': gone.key, 'x-api-secret': gone.secret }],
      [401, bearer(gone.secret)],
    ]
    const before = await tableTexts(db)
    for (const [status, headers] of bad) {
      const body = method === 'GET' ? undefined : {}
      const answer = await anybody(method, path.replace(':id', 'x'), body, headers)
      expectRefusal(answer, status, status === 401 ? 'unauthorized' : 'secret_key_required')
    }
    expect(await tableTexts(db)).toEqual(before)
  },
)

test('a secret is stored as its hash only', async () => {
  const { key, secret } = await addMerchant(db)
  await get({ 'x-api-key': key, 'x-api-secret': secret })
  for (const text of Object.values(await tableTexts(db))) {
    expect(text).not.toContain(secret)
    expect(text).not.toContain(secret.slice('secret_'.length))
  }
  expect((await keyRow({ id: '', key, secret }))?.secretHash).toBe(sha256(secret))
})

test('last_used_at of an API key is stored, and changes at most once a minute', async () => {
  const shop = await addMerchant(db)
  const pair = { 'x-api-key': shop.key, 'x-api-secret': shop.secret }
  expect((await keyRow(shop))?.lastUsedAt).toBeNull()
  await get({ ...pair, 'x-api-secret': 'wrong' })
  await get({ 'x-api-key': shop.key })
  expect((await keyRow(shop))?.lastUsedAt).toBeNull()
  const before = Date.now()
  await get(pair)
  const at = (await keyRow(shop))?.lastUsedAt
  expect(at?.getTime()).toBeGreaterThanOrEqual(before)
  expect(at?.getTime()).toBeLessThanOrEqual(Date.now())

  const longAgo = new Date(Date.now() - 61_000)
  await db.update(apiKeys).set({ lastUsedAt: longAgo }).where(eq(apiKeys.key, shop.key))
  await get(bearer(shop.secret))
  expect((await keyRow(shop))?.lastUsedAt?.getTime()).toBeGreaterThanOrEqual(before)

  const justNow = new Date(Date.now() - 30_000)
  await db.update(apiKeys).set({ lastUsedAt: justNow }).where(eq(apiKeys.key, shop.key))
  await get(pair)
  expect((await keyRow(shop))?.lastUsedAt).toEqual(justNow)
})

describe('the rate limit', () => {
  test('counts per API key, and a 429 carries Retry-After', async () => {
    const { call, app, merchant } = await testShop(db, { rateLimitPerSecond: 1 })
    const statuses = []
    for (const _ of [1, 2, 3]) statuses.push((await call('GET', '/api/v1/orders')).status)
    expect(statuses).toEqual([200, 200, 429])
    const refused = await call('GET', '/api/v1/payments')
    expectRefusal(refused, 429, 'rate_limited', null)
    expect(refused.headers.get('retry-after')).toBe('1')

    const keys = newKeyPair()
    const values = { merchantId: merchant.id, key: keys.key, secretHash: sha256(keys.secret) }
    await db.insert(apiKeys).values({ id: newId('apiKey'), ...values, createdAt: new Date() })
    const second = callAs(app, { id: merchant.id, ...keys })
    expect((await second('GET', '/api/v1/orders')).status).toBe(200)
    const stranger = callAs(app, await addMerchant(db))
    expect((await stranger('GET', '/api/v1/orders')).status).toBe(200)
  })

  test('lets an API key in again half a second after a burst', async () => {
    const { call } = await testShop(db, { rateLimitPerSecond: 5 })
    const burst = await Promise.all(Array.from({ length: 30 }, () => call('GET', '/api/v1/orders')))
    expect(burst.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(10)
    expect(burst.filter(({ status }) => status === 429).length).toBeGreaterThan(0)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect((await call('GET', '/api/v1/orders')).status).toBe(200)
  })

  test('does not apply to the health check', async () => {
    const { app } = testApp(db, { rateLimitPerSecond: 1 })
    const call = callAs(app, null)
    for (const _ of [1, 2, 3, 4]) expect((await call('GET', '/health')).status).toBe(200)
  })
})

test('two merchants cannot have the same API key', async () => {
  const { key } = await addMerchant(db)
  const again = db.transaction((tx) =>
    insertMerchant(tx, 'Twin', { ...newKeyPair(), key }, new Date()),
  )
  await expect(again).rejects.toMatchObject({ cause: { constraint: 'api_keys_key_key' } })
})
