import { eq } from 'drizzle-orm'
import { events } from '../../db/webhooks/schema.ts'
import { testDb } from '../support/db.ts'
import { allAtOnce, contents, expectRefusal, testShop } from '../support/http.ts'

const db = testDb()
const path = '/api/v1/account'
const url = 'https://shop.example/hooks'
const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)

afterEach(() => jest.restoreAllMocks())

async function shopWithEndpoint() {
  const shop = await testShop(db)
  await shop.call('POST', '/api/v1/webhook_endpoints', { url, event_types: ['account.updated'] })
  const told = () => db.select().from(events).where(eq(events.merchantId, shop.merchant.id))
  return { ...shop, told, before: (await shop.call('GET', path)).body }
}

test("GET /api/v1/account answers with the merchant's account", async () => {
  const { before, merchant } = await shopWithEndpoint()
  expect(before).toStrictEqual({
    id: merchant.id,
    object: 'account',
    name: 'Test Shop',
    metadata: {},
    created_at: timestamp,
    updated_at: before.created_at,
  })
})

test('a changed account emits account.updated with the account after the change', async () => {
  const { call, before, told, started } = await shopWithEndpoint()
  const { status, body } = await call('PATCH', path, { name: 'দোকান', metadata: { tier: 'b' } })
  expect(status).toBe(200)
  const changes = { name: 'দোকান', metadata: { tier: 'b' }, updated_at: body.updated_at }
  expect(body).toStrictEqual({ ...before, ...changes })
  expect(body.updated_at > before.updated_at).toBe(true)
  expect((await call('GET', path)).body).toStrictEqual(body)

  const [event] = await told()
  expect(event?.type).toBe('account.updated')
  expect(JSON.parse(event?.body ?? '').data.object).toStrictEqual(body)
  expect(started).toMatchObject([{ workflowType: 'publishEvent', workflowId: event?.id }])
  const sent = (await call('GET', `/api/v1/webhook_deliveries?event_id=${event?.id}`)).body.data
  expect(sent).toMatchObject([{ status: 'pending', event_type: 'account.updated' }])
  expect(started[0]?.args).toMatchObject([[{ id: sent[0].id }]])
})

test.each([{}, { name: 'Test Shop' }, { metadata: {} }, { name: 'Test Shop', metadata: {} }])(
  'a PATCH of the account with %j changes nothing and emits no event',
  async (change) => {
    const { call, before, told, started } = await shopWithEndpoint()
    const { status, body } = await call('PATCH', path, change)
    expect([status, body]).toEqual([200, before])
    expect(await told()).toEqual([])
    expect(started).toEqual([])
  },
)

test('a PATCH of the account keeps omitted fields and replaces metadata as a whole', async () => {
  const { call } = await shopWithEndpoint()
  await call('PATCH', path, { metadata: { a: '1', b: '2' } })
  const renamed = await call('PATCH', path, { name: 'Renamed' })
  expect(renamed.body).toMatchObject({ name: 'Renamed', metadata: { a: '1', b: '2' } })
  const { body } = await call('PATCH', path, { metadata: { c: '3' } })
  expect([body.name, body.metadata]).toEqual(['Renamed', { c: '3' }])
  const same = await call('PATCH', path, { metadata: { c: '3' } })
  expect(same.body).toEqual(body)
})

test('an event that no endpoint subscribes to starts no workflow', async () => {
  const { call, started } = await testShop(db)
  expect((await call('PATCH', path, { name: 'Quiet' })).status).toBe(200)
  expect(started).toEqual([])
})

test.each([
  [{ name: '' }, 'name'],
  [{ name: null }, 'name'],
  [{ name: 'x'.repeat(501) }, 'name'],
  [{ metadata: { a: 1 } }, 'metadata.a'],
  [{ metadata: null }, 'metadata'],
  [{ id: 'mer_x' }, 'id'],
])('a PATCH of the account with %j is refused with 400', async (change, param) => {
  const { call } = await shopWithEndpoint()
  const before = await contents(db)
  expectRefusal(await call('PATCH', path, change), 400, 'invalid_request', param)
  expect(await contents(db)).toEqual(before)
})

test('an account change and its pending delivery stay when the start of the workflow fails', async () => {
  const shop = await testShop(db, { tryStart: () => Promise.reject(new Error('killed')) })
  await shop.call('POST', '/api/v1/webhook_endpoints', { url })
  expect((await shop.call('PATCH', path, { name: 'Kept' })).status).toBe(500)
  expect((await shop.call('GET', path)).body.name).toBe('Kept')
  const { body } = await shop.call('GET', '/api/v1/webhook_deliveries')
  expect(body.data).toMatchObject([{ event_type: 'account.updated', status: 'pending' }])
})

test('two equal changes of the account at the same time emit one event', async () => {
  const { call, told, merchant } = await shopWithEndpoint()
  const rename = () => call('PATCH', path, { name: 'Renamed' })
  const [one, two] = await allAtOnce(db, merchant.id, [rename, rename])
  expect(one?.body).toEqual(two?.body)
  expect(await told()).toHaveLength(1)
})
