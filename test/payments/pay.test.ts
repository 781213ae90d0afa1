import { providerFor } from '../../providers/index.ts'
import type { Provider } from '../../providers/provider.ts'
import { callAs, testProviders } from '../support/app.ts'
import { addMerchant, testDb } from '../support/db.ts'
import {
  appWith,
  card,
  cardNumber,
  contents,
  expectRefusal,
  fail,
  succeed,
  tableTexts,
  upi,
} from '../support/http.ts'
import { cardSource, link, linkPath, shopWithLink, source } from './payers.ts'

const db = testDb()
afterEach(() => jest.restoreAllMocks())
const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)

const pending = {
  id: expect.stringMatching(/^pay_[0-7][0-9a-hjkmnp-tv-z]{25}$/),
  object: 'payment',
  status: 'pending',
  ...link,
  amount_captured: 0,
  amount_refunded: 0,
  method: 'upi',
  order_id: null,
  capture_method: 'automatic',
  card: null,
  vpa: 'as***@upi',
  failure_code: null,
  failure_message: null,
  needs_attention: false,
  description: 'Two cups',
  metadata: {},
  created_at: timestamp,
  updated_at: timestamp,
}

describe('A payer with a link', () => {
  test('a payer sees the payment due and the merchant name, and nothing internal', async () => {
    const expires_at = new Date(Date.now() + 60_000).toISOString()
    const internal = { metadata: { margin: '80 percent' } }
    const { made, look, merchant } = await shopWithLink(db, {
      description: 'Two cups',
      expires_at,
      ...internal,
    })
    const shown = await look()
    expect(shown.status).toBe(200)
    const { id, object, status, url } = made
    expect(shown.body).toStrictEqual({
      id,
      object,
      status,
      url,
      ...link,
      description: 'Two cups',
      expires_at,
      merchant: { name: 'Test Shop' },
      last_payment: null,
    })
    expect(new URL(url).pathname).toBe(`/pay/${id}`)
    for (const secret of [merchant.id, merchant.key, merchant.secret, 'margin', '80 percent'])
      expect(JSON.stringify(shown.body)).not.toContain(secret)
  })

  test('a payer sees the outcome of the last payment', async () => {
    const { look, pay, id } = await shopWithLink(db)
    const last = async () => (await look()).body.last_payment
    const { body: first } = await pay()
    expect(await last()).toStrictEqual({ id: first.id, status: 'pending', failure_message: null })
    await fail(db, first.id)
    const reason = 'The payer declined the UPI request.'
    expect(await last()).toStrictEqual({ id: first.id, status: 'failed', failure_message: reason })
    const { body: second } = await pay()
    expect(await last()).toMatchObject({ id: second.id, status: 'pending' })
    await succeed(db, second.id)
    expect((await look()).body).toMatchObject({
      id,
      status: 'paid',
      last_payment: { id: second.id, status: 'succeeded', failure_message: null },
    })
  })

  test('a payer pays what the link says and gets the payment as the answer', async () => {
    const internal = { metadata: { margin: '80 percent' } }
    const { call, started, merchant, ...made } = await shopWithLink(db, {
      description: 'Two cups',
      ...internal,
    })
    const { status, body } = await made.pay()
    expect(status).toBe(200)
    expect(body).toStrictEqual(pending)
    expect((await call('GET', `/api/v1/payments/${body.id}`)).body).toStrictEqual(body)
    const listed = await call('GET', `/api/v1/payments?payment_link_id=${made.id}`)
    expect(listed.body.data).toStrictEqual([body])
    expect(started).toMatchObject([{ workflowType: 'processPayment', workflowId: body.id }])
    expect(await made.paymentsOf()).toMatchObject([{ id: body.id, merchantId: merchant.id }])
    const told = (await call('GET', '/api/v1/events?type=payment.created')).body.data
    expect(told.map(({ data }: { data: { object: object } }) => data.object)).toStrictEqual([body])
  })

  test('a payer pays by card, and the card number is stored nowhere', async () => {
    const { pay } = await shopWithLink(db)
    const { status, body } = await pay(cardSource, 'card')
    expect(status).toBe(200)
    const shown = { brand: 'visa', last4: cardNumber.slice(-4) }
    expect(body).toMatchObject({ method: 'card', card: shown, vpa: null })
    for (const text of [...Object.values(await tableTexts(db)), JSON.stringify(body)])
      expect(text).not.toContain(cardNumber.slice(0, 12))
  })

  test.each<[string, object, string]>([
    ['another amount', { ...source, amount: 1 }, 'amount'],
    ['another currency', { ...source, currency: 'USD' }, 'currency'],
    ['an order', { ...source, order_id: 'ORDER_1' }, 'order_id'],
    ['a manual capture', { ...source, capture_method: 'manual' }, 'capture_method'],
    ['metadata', { ...source, metadata: {} }, 'metadata'],
    ['no method', { vpa: 'asha.rao@upi' }, 'method'],
    ['no address', { method: 'upi' }, 'vpa'],
    ['a bad address', { method: 'upi', vpa: 'asha' }, 'vpa'],
    ['a card for upi', { ...source, card }, 'card'],
    [
      'a bad card',
      { method: 'card', card: { ...card, number: '4242424242424241' } },
      'card.number',
    ],
    ['NUL', { method: 'upi', vpa: 'a\0@upi' }, 'vpa'],
  ])('a payer cannot pay a link with %s', async (_, body, param) => {
    const { pay } = await shopWithLink(db)
    const before = await contents(db)
    expectRefusal(await pay(body), 400, 'invalid_request', param)
    expect(await contents(db)).toEqual(before)
  })

  test('a payment body that is not JSON or is too large is refused', async () => {
    const { anybody, id } = await shopWithLink(db)
    const before = await contents(db)
    const send = (body: string, headers = {}) => anybody('POST', `/pay/${id}`, body, headers)
    expectRefusal(await send('{"method":'), 400, 'invalid_request', null)
    expectRefusal(await send('null'), 400, 'invalid_request')
    const large = JSON.stringify({ ...source, vpa: 'x'.repeat(1_048_576) })
    expectRefusal(await send(large), 413, 'body_too_large', 'body')
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const refused = await send('method=upi', form)
    expectRefusal(refused, 415, 'unsupported_media_type', 'Content-Type')
    expect(await contents(db)).toEqual(before)
  })

  test('an unknown link, and an order or payment id, answer 404 under /pay', async () => {
    const { anybody, call } = await shopWithLink(db)
    const { body: order } = await call('POST', '/api/v1/orders', link)
    const { body: payment } = await call('POST', '/api/v1/payments', upi)
    const before = await contents(db)
    for (const id of ['plink_404', 'x', "' or 1=1 --", '%ff', order.id, payment.id]) {
      expectRefusal(await anybody('GET', `/pay/${id}`), 404, 'not_found', null)
      expectRefusal(await anybody('POST', `/pay/${id}`, source), 404, 'not_found', null)
    }
    expectRefusal(await anybody('GET', '/pay/%00'), 400, 'invalid_request', 'url')
    for (const nowhere of ['/pay', '/pay/', '/pay/x/y'])
      expectRefusal(await anybody('GET', nowhere), 404, 'not_found', null)
    expect(await contents(db)).toEqual(before)
  })

  test('a payer can only read and pay a link', async () => {
    const { app, anybody, id } = await shopWithLink(db)
    for (const path of [`/pay/${id}`, '/pay/plink_404'])
      for (const method of ['PUT', 'PATCH', 'DELETE']) {
        const refused = await anybody(method, path)
        expectRefusal(refused, 405, 'method_not_allowed', null)
        expect(refused.headers.get('allow')).toBe('GET, HEAD, POST')
      }
    const head = await app.request(`/pay/${id}`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    expectRefusal(await anybody('GET', `${linkPath}/${id}`), 401, 'unauthorized')
    expectRefusal(await anybody('POST', `${linkPath}/${id}/cancel`, {}), 401, 'unauthorized')
  })
})

test('while the card exchange is away a payer gets a 503, and nothing is stored', async () => {
  const failing: Provider['createCardToken'] = async ({ number }) => {
    throw new Error(`HTTP 500 for ${number}`)
  }
  const sandbox = { ...providerFor(testProviders(db), 'sandbox'), createCardToken: failing }
  const { pay, started } = await shopWithLink(db, {}, { providers: { sandbox } })
  const before = await contents(db)
  const answer = await pay(cardSource, 'away')
  expectRefusal(answer, 503, 'unavailable')
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(answer.body.error.message).not.toContain('HTTP 500')
  expect(await contents(db)).toEqual(before)
  expect(started).toEqual([])
  expect((await pay(source)).status).toBe(200)
})

describe('The rate limit of payers', () => {
  test('payers of one merchant share a rate limit, and nobody else is held up', async () => {
    const now = jest.spyOn(performance, 'now').mockReturnValue(1_000)
    const app = appWith(db, { rateLimitPerSecond: 1 })
    const anybody = callAs(app, null)
    const [ours, theirs] = [callAs(app, await addMerchant(db)), callAs(app, await addMerchant(db))]
    const make = async (call = ours) => (await call('POST', linkPath, link)).body.id
    const [one, two, other] = [await make(), await make(theirs), await make(theirs)]
    now.mockReturnValue(10_000)
    const statuses = []
    for (const id of [two, other, two]) statuses.push((await anybody('GET', `/pay/${id}`)).status)
    expect(statuses).toEqual([200, 200, 429])
    const refused = await anybody('POST', `/pay/${other}`, source)
    expectRefusal(refused, 429, 'rate_limited', null)
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(refused.body.error.message).not.toContain('key')
    expect((await anybody('GET', `/pay/${one}`)).status).toBe(200)
    expect((await theirs('GET', linkPath)).status).toBe(200)
    now.mockReturnValue(11_000)
    expect((await anybody('POST', `/pay/${other}`, source)).status).toBe(200)
    expectRefusal(await anybody('GET', `/pay/${other}`), 429, 'rate_limited', null)
  })
})
