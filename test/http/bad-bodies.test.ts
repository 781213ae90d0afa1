import { routesOf } from '../support/app.ts'
import { testDb } from '../support/db.ts'
import { contents, expectRefusal, rowCounts, testShop, upi } from '../support/http.ts'

const db = testDb()
let shop: Awaited<ReturnType<typeof testShop>>
let linkId: string
beforeAll(async () => {
  shop = await testShop(db)
  const link = { amount: 50_000, currency: 'INR' }
  linkId = (await shop.call('POST', '/api/v1/payment_links', link)).body.id
})

test.each(['gzip', 'br', 'gzip, identity'])(
  'a body with the Content-Encoding %s is refused with 415',
  async (coding) => {
    const answer = await shop.call('POST', '/api/v1/payments', upi, { 'content-encoding': coding })
    expectRefusal(answer, 415, 'unsupported_media_type', 'Content-Encoding')
    const plain = { 'content-encoding': 'Identity' }
    expect((await shop.call('POST', '/api/v1/payments', upi, plain)).status).toBe(201)
  },
)

/** RFC 9110 (8.3.1) lets a client write the type of a JSON text in UTF-8 in all these ways. */
const jsonTypes = [
  'application/json',
  'Application/JSON; charset=utf-8',
  'application/json ; charset=utf-8',
  'application/json;charset="UTF-8"',
  'application/json; charset="utf\\-8"',
  'application/json\t;\tcharset=utf-8',
  'application/json; version=1',
  'application/json; profile="https://a.example/b; c=d"; charset=utf8',
  'application/json;',
  'application/json; ; charset=utf-8',
]
const otherTypes = [
  ...['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'],
  ...['text/json', 'application/problem+json', 'application/merge-patch+json', 'application/jsonp'],
  ...['application/json; charset=latin1', 'application/json; charset="utf-16"'],
  ...['application/json; charset=us-ascii', 'application/json; charset=none', 'json', '*/*', ''],
]

test.each(jsonTypes)('a body of the media type %j is read as JSON', async (type) => {
  const { status } = await shop.call('POST', '/api/v1/payments', upi, { 'content-type': type })
  expect(status).toBe(201)
})

test.each(otherTypes)('a body of the media type %j is refused with 415', async (type) => {
  const before = await rowCounts(db)
  const answer = await shop.call('POST', '/api/v1/payments', upi, { 'content-type': type })
  expectRefusal(answer, 415, 'unsupported_media_type', 'Content-Type')
  expect(await rowCounts(db)).toEqual(before)
})

test('a body above 1 MiB gets 413 and closes its connection, because its rest would look like a request', async () => {
  const body = { ...upi, description: 'x'.repeat(1_048_576) }
  const answer = await shop.call('POST', '/api/v1/payments', body)
  expectRefusal(answer, 413, 'body_too_large', 'body')
  expect(answer.headers.get('connection')).toBe('close')
})

test.each([
  ['a lone byte', [0xff]],
  ['half a character', [0xe2, 0x82]],
  ['an overlong slash', [0xc0, 0xaf]],
  ['half a surrogate pair', [0xed, 0xa0, 0x80]],
])('%s makes a body invalid UTF-8, and the body is refused with 400', async (_, bytes) => {
  const [before, after] = JSON.stringify({ ...upi, description: '|' }).split('|')
  const body = Buffer.concat([
    Buffer.from(`${before}`),
    Buffer.from(bytes),
    Buffer.from(`${after}`),
  ])
  const rows = await rowCounts(db)
  const { secret } = shop.merchant
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' }
  const answer = await shop.app.request('/api/v1/payments', { method: 'POST', headers, body })
  expect(answer.status).toBe(400)
  expect(await answer.json()).toMatchObject({ error: { message: 'The body is not valid UTF-8.' } })
  expect(await rowCounts(db)).toEqual(rows)
})

test('a byte order mark before a JSON body is ignored', async () => {
  const made = await shop.call('POST', '/api/v1/payments', `\ufeff${JSON.stringify(upi)}`)
  expect(made.status).toBe(201)
})

/** Returns the routes that need a secret, and those of payers. Their objects need not exist. */
const routes = () => {
  const all = routesOf(shop.app).map((route) => route.replace('/pay/:id', `/pay/${linkId}`))
  const theirs = all.filter((route) => / \/(api\/v1|pay|webhooks.*)\//.test(route))
  return theirs.map((route) => route.replace(':id', 'x').split(' ') as [string, string])
}

test('every route refuses an unknown query parameter with 400 and names the parameter', async () => {
  const before = await contents(db)
  for (const [method, path] of routes()) {
    const body = method === 'GET' ? undefined : {}
    const answer = await shop.call(method, `${path}?x_y=1`, body)
    expect([method, path, answer.status]).toEqual([method, path, 400])
  }
  expectRefusal(await shop.call('GET', '/api/v1/account?x_y=1'), 400, 'invalid_request', 'x_y')
  expect(await contents(db)).toEqual(before)
})

test('every route refuses a body that it does not take with 400', async () => {
  const before = await contents(db)
  for (const [method, path] of routes().filter(([method]) => method !== 'GET')) {
    for (const body of [{ x_y: 1 }, [], 'null']) {
      const answer = await shop.call(method, path, body)
      expect([method, path, answer.status]).toEqual([method, path, 400])
    }
  }
  const resend = '/api/v1/webhook_deliveries/x/resend'
  expectRefusal(await shop.call('POST', resend, { x_y: 1 }), 400, 'invalid_request', 'x_y')
  for (const nothing of [undefined, {}])
    expectRefusal(await shop.call('POST', resend, nothing), 404, 'not_found')
  expect(await contents(db)).toEqual(before)
})
