import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { eq } from 'drizzle-orm'
import { deliveries } from '../../db/webhooks/schema.ts'
import { tryPort } from '../../scripts/tools/processes.ts'
import { createTemporalClient } from '../../temporal/client.ts'
import { callAs } from '../support/app.ts'
import { addMerchant, testDb } from '../support/db.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { appWith, expectRefusal, testShop, upi } from '../support/http.ts'
import { keptLog } from '../support/log.ts'
import { testActivities, until } from '../support/stack.ts'
import { devServerEnv } from '../support/temporal.ts'

const db = testDb()
const temporal = devServerEnv()
const endpoint = testEndpoint()
const path = '/api/v1/test/jobs/status'
afterEach(() => jest.restoreAllMocks())

const none = { running: 0, failed: 0 }
const nothing = {
  object: 'jobs_status',
  workflows: {
    ...none,
    by_type: {
      processPayment: none,
      processRefund: none,
      processPayout: none,
      orderSaga: none,
      paymentLinkLifecycle: none,
      applyInboundEvent: none,
      publishEvent: none,
      deliverWebhook: none,
    },
  },
  deliveries: { pending: 0, failed: 0 },
}

test("the jobs status counts only the merchant's own workflows, by type, and deliveries", async () => {
  const options = { temporal: temporal.client() }
  const { call, merchant } = await testShop(db, options)
  const stranger = (await testShop(db, options)).call
  expect((await call('GET', path)).body).toStrictEqual(nothing)

  const hook = { url: endpoint.url, event_types: ['account.updated'], retry_schedule: [] }
  await call('POST', '/api/v1/webhook_endpoints', hook)
  await call('POST', '/api/v1/payments', upi) // no worker runs, so both stay pending
  await call('POST', '/api/v1/payments', upi)
  const { body: order } = await call('POST', '/api/v1/orders', { amount: 1, currency: 'INR' })
  const { body: link } = await call('POST', '/api/v1/payment_links', { amount: 1, currency: 'INR' })
  await call('PATCH', '/api/v1/account', { name: 'Renamed' })
  const running = await until(async () => {
    const { body } = await call('GET', path)
    return body.workflows.running === 5 && body
  }, 'the workflows to be seen')
  expect(running).toStrictEqual({
    object: 'jobs_status',
    workflows: {
      running: 5,
      failed: 0,
      by_type: {
        ...nothing.workflows.by_type,
        processPayment: { running: 2, failed: 0 },
        orderSaga: { running: 1, failed: 0 },
        paymentLinkLifecycle: { running: 1, failed: 0 },
        publishEvent: { running: 1, failed: 0 },
      },
    },
    deliveries: { pending: 1, failed: 0 },
  })
  expect((await stranger('GET', path)).body).toStrictEqual(nothing)

  endpoint.answer = async () => ({ status: 500 })
  const failed = await temporal.withActivities(testActivities(db), async () => {
    for (const each of [`orders/${order.id}`, `payment_links/${link.id}`])
      expect((await call('POST', `/api/v1/${each}/cancel`)).status).toBe(200)
    return until(async () => {
      const { body } = await call('GET', path)
      return body.workflows.running === 0 && body.workflows.failed === 1 && body
    }, 'the delivery to fail')
  })
  expect(failed.workflows.by_type).toEqual({
    ...nothing.workflows.by_type,
    deliverWebhook: { running: 0, failed: 1 },
  })
  expect(failed.deliveries).toEqual({ pending: 0, failed: 1 })
  expect((await stranger('GET', path)).body).toStrictEqual(nothing)
  const mine = eq(deliveries.merchantId, merchant.id)
  expect(await db.$count(deliveries, mine)).toBe(1)
})

/** Starts a server that accepts every connection and never answers. */
function silentServer() {
  const server = createServer((socket) => socket.on('error', () => {}).unref())
  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening')
  })
  afterAll(() => server.close())
  return () => (server.address() as AddressInfo).port
}
const silent = silentServer()
const ERROR = 50 // pino's number of the level

test.each([
  ['is away', () => tryPort(0)],
  ['says nothing', async () => silent()],
])(
  'the jobs status answers 503 with Retry-After within 4 s while Temporal %s',
  async (_, portOf) => {
    const { log, lines } = keptLog()
    const address = `127.0.0.1:${await portOf()}`
    const away = createTemporalClient({ address, namespace: 'default' })
    const call = callAs(appWith(db, { temporal: away, log }), await addMerchant(db))
    const startedAt = Date.now()
    const answer = await call('GET', path)
    expect(Date.now() - startedAt).toBeLessThan(4_000)
    expectRefusal(answer, 503, 'unavailable', null)
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(JSON.stringify(answer.body)).not.toContain(address)
    expect(lines.filter(({ level }) => level >= ERROR)).toHaveLength(1)
  },
)
