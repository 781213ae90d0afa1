import { sql } from 'drizzle-orm'
import { sha256 } from '../../core/secrets.ts'
import { callAs } from '../support/app.ts'
import { testDb } from '../support/db.ts'
import { allAtOnce, contents, expectRefusal, tableTexts, testShop } from '../support/http.ts'

const db = testDb()
const root = '/api/v1/api_keys'
const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const withKey = (key: string) => ({ 'idempotency-key': key })

/** Makes a shop with a second API key. `second` sends requests with the second key. */
async function shopWithKeys() {
  const shop = await testShop(db)
  const first = (await shop.call('GET', root)).body.data[0].id as string
  const { body } = await shop.call('POST', root, { name: 'Second' })
  return { ...shop, first, body, second: callAs(shop.app, { ...body, id: shop.merchant.id }) }
}

test('a created API key opens the API, and only the answer to its creation shows the secret', async () => {
  const { call, second, body } = await shopWithKeys()
  expect(body).toStrictEqual({
    id: expect.stringMatching(/^ak_[0-7][0-9a-hjkmnp-tv-z]{25}$/),
    object: 'api_key',
    name: 'Second',
    key: expect.stringMatching(/^key_[\w-]{32}$/),
    last_used_at: null,
    revoked_at: null,
    created_at: timestamp,
    secret: expect.stringMatching(/^secret_[\w-]{32}$/),
  })
  const { secret, ...shown } = body
  expect((await call('GET', `${root}/${body.id}`)).body).toStrictEqual(shown)
  expect((await call('GET', root)).body.data[0]).toStrictEqual(shown)
  expect((await second('GET', '/api/v1/account')).status).toBe(200)
  expect((await call('GET', `${root}/${body.id}`)).body.last_used_at).toEqual(timestamp)
  expect(JSON.stringify(await tableTexts(db))).toContain(sha256(secret))
  expect(JSON.stringify(await tableTexts(db))).not.toContain(secret)
})

test('an API key can be created without a name and without a body', async () => {
  const { call } = await testShop(db)
  for (const body of [undefined, {}]) {
    const made = await call('POST', root, body)
    expect([made.status, made.body.name]).toEqual([201, null])
  }
  expectRefusal(await call('POST', root, { name: '' }), 400, 'invalid_request', 'name')
  expectRefusal(await call('POST', root, { key: 'key_x' }), 400, 'invalid_request', 'key')
})

test('a repeated POST gets the same API key and secret, and no table holds the secret in clear', async () => {
  const { call } = await testShop(db)
  const first = await call('POST', root, { name: 'A' }, withKey('a'))
  const again = await call('POST', root, { name: 'A' }, withKey('a'))
  expect(again.headers.get('idempotent-replayed')).toBe('true')
  expect(again.body).toStrictEqual(first.body)
  expect((await call('GET', root)).body.data).toHaveLength(2)
  expect(JSON.stringify(await tableTexts(db))).not.toContain(first.body.secret)
  const other = await call('POST', root, { name: 'B' }, withKey('a'))
  expectRefusal(other, 422, 'idempotency_key_reused', 'Idempotency-Key')
})

test('a revoked API key is refused with 401 and can still be retrieved', async () => {
  const { call, second, body } = await shopWithKeys()
  const revoked = await call('DELETE', `${root}/${body.id}`)
  expect(revoked.status).toBe(200)
  expect(revoked.body).toStrictEqual({ id: body.id, object: 'api_key', deleted: true })
  expectRefusal(await second('GET', '/api/v1/account'), 401, 'unauthorized')
  const { revoked_at } = (await call('GET', `${root}/${body.id}`)).body
  expect(revoked_at).toEqual(timestamp)

  const again = await call('DELETE', `${root}/${body.id}`)
  expect([again.status, again.body]).toEqual([200, revoked.body])
  expect((await call('GET', `${root}/${body.id}`)).body.revoked_at).toBe(revoked_at)
})

test('an API key can revoke itself if another active key exists', async () => {
  const { call, second, first } = await shopWithKeys()
  expect((await call('DELETE', `${root}/${first}`)).status).toBe(200)
  expectRefusal(await call('GET', root), 401, 'unauthorized')
  expect((await second('GET', root)).status).toBe(200)
})

test('a revocation of the last active API key is refused with 409', async () => {
  const { call, first, body } = await shopWithKeys()
  await call('DELETE', `${root}/${body.id}`)
  const before = await contents(db)
  expectRefusal(await call('DELETE', `${root}/${first}`), 409, 'last_api_key', null)
  expect(await contents(db)).toEqual(before)
  expect((await call('GET', root)).status).toBe(200)
})

test('two API keys that revoke each other at the same time leave one active', async () => {
  const { call, second, first, body, merchant } = await shopWithKeys()
  const answers = await allAtOnce(db, merchant.id, [
    () => call('DELETE', `${root}/${body.id}`),
    () => second('DELETE', `${root}/${first}`),
  ])
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
  const alive = [await call('GET', root), await second('GET', root)]
  expect(alive.map(({ status }) => status).sort()).toEqual([200, 401])
})

test('a key beyond a hundred active API keys is refused with 422', async () => {
  const { call, merchant, body } = await shopWithKeys()
  await db.execute(sql`
    insert into api_keys (id, merchant_id, key, secret_hash, created_at)
    select 'ak_' || n || ${merchant.id}, ${merchant.id}, 'key_' || n, 'hash ' || n, now()
    from generate_series(3, 100) n`)
  expectRefusal(await call('POST', root, {}), 422, 'api_key_limit_reached', null)
  await call('DELETE', `${root}/${body.id}`)
  expect((await call('POST', root, {})).status).toBe(201)
})
