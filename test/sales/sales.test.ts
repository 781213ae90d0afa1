import { eq, inArray } from 'drizzle-orm'
import { payments } from '../../db/payments/schema.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { sandboxCharges } from '../../providers/sandbox/schema.ts'
import { callAs, testApp } from '../support/app.ts'
import { addMerchant, balanceOf, type Merchant, testDb } from '../support/db.ts'
import { fileWorkers } from '../support/file-workers.ts'
import { upi } from '../support/http.ts'
import { testActivities, until } from '../support/stack.ts'
import { devServerEnv } from '../support/temporal.ts'

/** These tests call the API for orders and payment links while the workflows run. */

const workers = fileWorkers()
const db = testDb()
const temporal = devServerEnv()
const names = [
  ...(['takeUpOrder', 'fulfillOrder', 'cancelOrder', 'refundOrder', 'awaitRefundEnd'] as const),
  ...(['takeUpLink', 'closeLink', 'awaitPaymentEnd'] as const),
  ...(['chargePayment', 'pollCharge', 'settlePayment', 'cancelCharge', 'sendRefund'] as const),
]
workers.serve(temporal, names, () => testActivities(db))

let merchant: Merchant
let call: ReturnType<typeof callAs>
let anybody: ReturnType<typeof callAs>
beforeEach(async () => {
  merchant = await addMerchant(db)
  const client = temporal.client()
  const { app } = testApp(db, { temporal: client })
  call = callAs(app, merchant)
  anybody = callAs(app, null)
})

const available = () => balanceOf(db, merchant.id, 'available', 'INR')
const post = async (path: string, body: object = {}) => call('POST', `/api/v1/${path}`, body)
const get = async (path: string) => (await call('GET', `/api/v1/${path}`)).body
const sale = { amount: 50_000, currency: 'INR' }
const byUpi = { method: 'upi', vpa: 'test@upi' }

async function paidOrder(): Promise<string> {
  const { body } = await post('orders', sale)
  await post('payments', { ...upi, order_id: body.id })
  await until(
    async () => (await get(`orders/${body.id}`)).status === 'paid',
    'the order to be paid',
  )
  return body.id
}

const settledRefunds = (id: string) =>
  until(async () => {
    const ofOrder = db.select({ id: payments.id }).from(payments).where(eq(payments.orderId, id))
    const rows = await db.select().from(refunds).where(inArray(refunds.paymentId, ofOrder))
    return rows.length > 0 && rows.every(({ status }) => status !== 'pending') && rows
  }, `what was paid for ${id} to go back`)

test('a fulfill returns the fulfilled order, and a later cancel is refused with 409', async () => {
  const id = await paidOrder()
  const { status, body } = await post(`orders/${id}/fulfill`)
  expect(status).toBe(200)
  expect(body).toStrictEqual(await get(`orders/${id}`))
  expect(body).toMatchObject({ status: 'fulfilled', cancellation_reason: null })
  expect((await post(`orders/${id}/cancel`)).status).toBe(409)
  expect(await available()).toBe(50_000)
})

test('a cancel returns the canceled order, and its payment is refunded', async () => {
  const id = await paidOrder()
  const { status, body } = await post(`orders/${id}/cancel`)
  expect(status).toBe(200)
  expect(body).toMatchObject({ id, status: 'canceled', cancellation_reason: 'requested' })
  expect(await settledRefunds(id)).toMatchObject([{ amount: 50_000, status: 'succeeded' }])
  expect(await get(`payments/${body.payment_id}`)).toMatchObject({ amount_refunded: 50_000 })
  expect(await available()).toBe(0)
})

test('one of a fulfill and a cancel at the same moment is done, in each of ten rounds', async () => {
  let kept = 0
  for (let round = 0; round < 10; round++) {
    const id = await paidOrder()
    const verbs = round % 2 ? ['fulfill', 'cancel'] : ['cancel', 'fulfill']
    const answers = await Promise.all(verbs.map((verb) => post(`orders/${id}/${verb}`)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
    const done = verbs[answers.findIndex(({ status }) => status === 200)]
    const { status } = await get(`orders/${id}`)
    expect(status).toBe(done === 'fulfill' ? 'fulfilled' : 'canceled')
    if (done === 'fulfill') kept += 50_000
    else await settledRefunds(id)
  }
  expect(await available()).toBe(kept)
})

test('one of fifty payers of a link is charged, and the link is paid once', async () => {
  const { body: link } = await post('payment_links', sale)
  const pay = () => anybody('POST', `/pay/${link.id}`, byUpi)
  const answers = await Promise.all(Array.from({ length: 50 }, pay))
  const paid = answers.filter(({ status }) => status === 200)
  expect(paid).toHaveLength(1)
  const codes = ['payment_link_payment_in_progress', 'payment_link_not_active']
  for (const { status, body } of answers.filter((answer) => answer !== paid[0]))
    expect([status, codes.includes(body.error.code)]).toEqual([409, true])
  const path = `payment_links/${link.id}`
  await until(async () => (await get(path)).status === 'paid', 'the link to be paid')
  expect((await get(path)).payment_id).toBe(paid[0]?.body.id)
  expect(await chargesOf(link.id)).toMatchObject([{ status: 'succeeded', amount: 50_000 }])
  expect((await get('events?type=payment_link.paid')).data).toHaveLength(1)
  expect(await available()).toBe(50_000)
  expect((await pay()).body.error.code).toBe('payment_link_not_active')
  expect(await temporal.client().workflow.getHandle(link.id).result()).toBe('paid')
})

test('a link that is paid and canceled at the same moment ends as one of the two, in ten rounds', async () => {
  let paid = 0
  for (let round = 0; round < 10; round++) {
    const { body: link } = await post('payment_links', sale)
    const [payment, cancel] = await Promise.all([
      anybody('POST', `/pay/${link.id}`, byUpi),
      post(`payment_links/${link.id}/cancel`),
    ])
    expect([200, 409]).toContain(payment.status)
    const { status } = await get(`payment_links/${link.id}`)
    expect([200, 409]).toContain(cancel.status)
    expect(status).toBe(cancel.status === 200 ? 'canceled' : 'paid')
    const charged = (await chargesOf(link.id)).filter((charge) => charge.status === 'succeeded')
    expect(charged).toHaveLength(status === 'paid' ? 1 : 0)
    if (status === 'paid') paid++
    if (payment.status === 409) expect(status).toBe('canceled')
  }
  expect(await available()).toBe(paid * 50_000)
})

async function chargesOf(linkId: string) {
  const ofLink = db
    .select({ id: payments.id })
    .from(payments)
    .where(eq(payments.paymentLinkId, linkId))
  return db.select().from(sandboxCharges).where(inArray(sandboxCharges.paymentId, ofLink))
}
