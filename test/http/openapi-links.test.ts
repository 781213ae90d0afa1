import { eq } from 'drizzle-orm'
import { deliveries } from '../../db/webhooks/schema.ts'
import { source } from '../payments/payers.ts'
import type { Answer } from '../support/app.ts'
import { testDb } from '../support/db.ts'
import { upi } from '../support/http.ts'
import { testTill, toVpa } from '../transfers/till.ts'
import { type Json, type Operation, readDocument } from './document.ts'

const db = testDb()

type Till = Awaited<ReturnType<typeof testTill>>
type Link = { from: string; status: string; name: string; link: Json; target: Operation }

let operations: Operation[]
let links: Link[]
let till: Till
beforeAll(async () => {
  till = await testTill(db)
  await till.topUp(100_000)
  operations = (await readDocument(till.app)).operations
  const find = (id: string) => operations.find((each) => each.operation.operationId === id)
  links = operations.flatMap(({ operation }) =>
    Object.entries<Json>(operation.responses).flatMap(([status, response]) =>
      Object.entries<Json>(response.links ?? {}).map(([name, link]) => {
        const target = find(link.operationId) as Operation
        return { from: operation.operationId, status, name, link, target }
      }),
    ),
  )
})

test('each link is named after an existing operation and fills in parameters of that operation', () => {
  for (const { name, link, target } of links) {
    expect(name).toMatch(/^[A-Za-z0-9._-]+$/)
    expect([link.operationId, target?.operation.operationId]).toEqual([name, name])
    const taken = target.operation.parameters.map((each: Json) => each.name)
    expect(taken).toEqual(expect.arrayContaining(Object.keys(link.parameters)))
    if (target.path.includes('{id}')) expect(Object.keys(link.parameters)).toEqual(['id'])
  }
})

/** No request makes the objects of these operations, so no answer to a create holds their id. */
const unlinked = {
  retrieveBalanceTransaction: 'the ledger writes a balance transaction when money moves',
  retrieveWebhookDelivery: 'an emitted event makes its deliveries',
  resendWebhookDelivery: 'only a delivery that exists can be sent again',
}

test('links reach every operation on an id, except on objects that no request creates', () => {
  const reached = new Set(operations.filter(({ path }) => !path.includes('{id}')).map(idOf))
  const isNew = (link: Link) => reached.has(link.from) && !reached.has(link.name)
  for (let next = links.find(isNew); next; next = links.find(isNew)) reached.add(next.name)
  const missed = operations.map(idOf).filter((id) => !reached.has(id))
  expect(missed.sort()).toEqual(Object.keys(unlinked).sort())
})

function idOf({ operation }: Operation): string {
  return operation.operationId
}

test.each([
  ['createPaymentLink', ['payPaymentLink', 'showPaymentLink', 'cancelPaymentLink']],
  ['payPaymentLink', ['retrievePayment', 'capturePayment', 'cancelPayment', 'createRefund']],
  ['createPayout', ['cancelPayout', 'completeTestPayout', 'failTestPayout']],
  ['createOrder', ['fulfillOrder', 'cancelOrder', 'listPayments']],
  ['createWebhookEndpoint', ['updateWebhookEndpoint', 'listWebhookDeliveries']],
  ['resendWebhookDelivery', ['retrieveWebhookDelivery', 'resendWebhookDelivery']],
  ['createTestBalanceTopup', []],
  ['applyInboundEvent', []],
  ['cancelPayment', []],
  ['listPayments', []],
])('the answer of %s links to the operations on its object', (from, expected) => {
  const names = links.filter((link) => link.from === from).map(({ name }) => name)
  expect(names).toEqual(expect.arrayContaining(expected))
  if (expected.length === 0) expect(names).toEqual([])
})

/** Makes a new object by each operation that has links. */
const creates: Record<string, () => Promise<Answer>> = {
  createPayment: () => till.post('payments', upi),
  createRefund: async () => till.post(`payments/${await till.paid()}/refunds`, { amount: 1 }),
  createPayout: () => till.post('payouts', { amount: 1, currency: 'INR', destination: toVpa }),
  createOrder: () => till.post('orders', { amount: 1, currency: 'INR' }),
  createPaymentLink: () => till.post('payment_links', { amount: 1, currency: 'INR' }),
  createInvoice: () => till.post('invoices', { amount: 1, currency: 'INR' }),
  createWebhookEndpoint: () => till.post('webhook_endpoints', { url: 'https://shop.example/' }),
  createApiKey: () => till.post('api_keys', { name: 'Second' }),
  createTestEvent: () => till.post('test/events', {}),
  async payPaymentLink() {
    const { body } = await till.post('payment_links', { amount: 1, currency: 'INR' })
    return till.call('POST', `/pay/${body.id}`, source)
  },
  async resendWebhookDelivery() {
    await till.post('webhook_endpoints', { url: 'https://shop.example/' })
    await till.post('test/events', {})
    const { id } = (await till.get('webhook_deliveries?limit=1')).body.data[0]
    await db.update(deliveries).set({ status: 'failed' }).where(eq(deliveries.id, id))
    return till.post(`webhook_deliveries/${id}/resend`, {})
  },
}

/** Only these operations require a body. */
const bodies: Record<string, object> = { createRefund: { amount: 1 }, payPaymentLink: source }

test('each link leads from a real answer to an operation that finds the object', async () => {
  expect(Object.keys(creates).sort()).toEqual([...new Set(links.map(({ from }) => from))].sort())
  for (const { from, status, name, link, target } of links) {
    const made = await creates[from]?.()
    expect([from, `${made?.status}`]).toEqual([from, status])
    const values = Object.entries<string>(link.parameters).map(([parameter, expression]) => {
      const pointer = expression.replace('$response.body#/', '')
      return [parameter, made?.body[pointer]] as const
    })
    const path = values.reduce((at, [key, value]) => at.replace(`{${key}}`, value), target.path)
    const query = path === target.path ? `?${new URLSearchParams(Object.fromEntries(values))}` : ''
    const body = target.method === 'get' ? undefined : (bodies[name] ?? {})
    const answer = await till.call(target.method.toUpperCase(), path + query, body)
    const isFound = ![400, 404, 405].includes(answer.status)
    expect({ from, name, isFound, answer }).toMatchObject({ isFound: true })
  }
})
