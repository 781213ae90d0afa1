import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import type { Request } from '../support/endpoint.ts'
import { testDelivering } from './delivering.ts'

const { endpoint, deliver, answerWith } = testDelivering()

const busy = { status: 503 }

async function deliverThreeTimes() {
  answerWith(busy, busy)
  const delivery = await deliver()
  expect(endpoint.requests).toHaveLength(3)
  return { ...delivery, requests: endpoint.requests }
}

function verifiedByHand({ headers, body }: Request, secret: string): boolean {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  const signature = createHmac('sha256', key).update(signed).digest('base64')
  return headers['webhook-signature'] === `v1,${signature}`
}

test('each attempt sends the exact bytes of the event', async () => {
  const { event, requests } = await deliverThreeTimes()
  for (const { body } of requests) {
    expect(body).toBe(event.body)
    expect(JSON.stringify(JSON.parse(body))).toBe(body)
  }
  expect(JSON.parse(event.body)).toMatchObject({ id: event.id, type: 'payment.succeeded' })
})

test('each attempt carries a Standard Webhooks signature that any library verifies', async () => {
  const { secret, requests } = await deliverThreeTimes()
  const webhook = new Webhook(secret)
  for (const request of requests) {
    const headers = request.headers as Record<string, string>
    expect(webhook.verify(request.body, headers)).toEqual(JSON.parse(request.body))
    expect(verifiedByHand(request, secret)).toBe(true)
    expect(() => webhook.verify(request.body.replace('payment', 'Payment'), headers)).toThrow()
  }
})

test('each attempt carries an X-Webhook-Signature over its body', async () => {
  const { secret, requests } = await deliverThreeTimes()
  for (const { headers, body } of requests) {
    const hmac = createHmac('sha256', secret).update(body).digest('hex')
    expect(headers['x-webhook-signature']).toBe(hmac)
  }
})

test('each attempt names the same event and the time when it was really sent', async () => {
  const { event, requests } = await deliverThreeTimes()
  expect(requests.map(({ headers }) => headers['webhook-id'])).toEqual(Array(3).fill(event.id))
  for (const { headers } of requests) {
    const age = Date.now() / 1000 - Number(headers['webhook-timestamp'])
    expect(age).toBeGreaterThanOrEqual(0)
    expect(age).toBeLessThan(10) // although the clock of the delivery has skipped six minutes
  }
})

test('an attempt is JSON, names its sender and wants no compressed answer', async () => {
  answerWith()
  await deliver()
  expect(endpoint.requests[0]?.headers).toMatchObject({
    'content-type': 'application/json',
    'user-agent': expect.stringMatching(/^Remit-Webhooks\/\d/),
    'accept-encoding': 'identity',
  })
})

test('an attempt is recorded with its request and its response', async () => {
  const headers = { 'x-shop': 'kiosk', 'set-cookie': 'a=b' }
  answerWith({ status: 418, headers, body: 'é'.repeat(4_000) })
  const { event, attempts, secret } = await deliver({ to: { retrySchedule: [] } })
  const [attempt] = attempts
  const [request] = endpoint.requests
  assert(attempt && request)

  expect(request.headers).toMatchObject(attempt.requestHeaders)
  expect(Object.keys(attempt.requestHeaders).sort()).toEqual([
    'content-type',
    'user-agent',
    'webhook-id',
    'webhook-signature',
    'webhook-timestamp',
    'x-webhook-signature',
  ])
  expect(attempt.bodySha256).toBe(createHash('sha256').update(event.body).digest('hex'))
  expect(attempt).toMatchObject({ state: 'failed', httpStatus: 418, error: null, attempt: 1 })
  expect(attempt.responseHeaders).toMatchObject(headers)
  expect(attempt.responseBody).toBe('é'.repeat(2_048)) // 4 KiB
  expect(attempt.latencyMs).toBeGreaterThanOrEqual(0)
  expect(JSON.stringify(attempt)).not.toContain(secret.slice('whsec_'.length))
})
