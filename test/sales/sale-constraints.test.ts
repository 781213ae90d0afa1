import { newId } from '../../db/ids.ts'
import { orders, paymentLinks, payments } from '../../db/payments/schema.ts'
import { commands } from '../../db/requests/schema.ts'
import { addMerchant, testDb } from '../support/db.ts'

const db = testDb()
const money = { amount: 1_000, currency: 'INR' }

/** Adds a merchant with a payment. `ours` are the columns of a row that the merchant owns. */
async function owned() {
  const { id: merchantId } = await addMerchant(db)
  const ours = { merchantId, createdAt: new Date(), updatedAt: new Date() }
  const byUpi = { method: 'upi', captureMethod: 'automatic', vpa: 'a@upi', provider: 'sandbox' }
  const addPayment = async (values: object) => {
    const id = newId('payment')
    await db.insert(payments).values({ id, ...ours, ...money, ...byUpi, ...values } as never)
    return id
  }
  return { ours, addPayment, paymentId: await addPayment({}) }
}

/** Replaces `PAYMENT` by the id of a payment that exists. */
const filled = (change: object, paymentId: string) =>
  JSON.parse(JSON.stringify(change).replace('PAYMENT', paymentId))

const canceled = { status: 'canceled', cancellationReason: 'requested' }

test.each<[string, object]>([
  ['orders_amount_positive', { amount: 0 }],
  ['orders_amount_positive', { amount: -1 }],
  ['orders_currency_upper', { currency: 'inr' }],
  ['orders_status_known', { status: 'shipped' }],
  ['orders_paid', { status: 'paid' }],
  ['orders_paid', { status: 'fulfilled' }],
  ['orders_canceled', { status: 'canceled' }],
  ['orders_canceled', { cancellationReason: 'requested' }],
  ['orders_canceled', { status: 'paid', paymentId: 'PAYMENT', cancellationReason: 'requested' }],
  ['orders_compensating', { isCompensating: true }],
  ['orders_compensating', { status: 'paid', paymentId: 'PAYMENT', isCompensating: true }],
])('the constraint %s refuses an order with %j', async (constraint, change) => {
  const { ours, paymentId } = await owned()
  const insert = (values: object) =>
    db
      .insert(orders)
      .values({ id: newId('order'), ...ours, ...money, fulfilBy: new Date(), ...values })
  await insert({})
  await insert({ ...canceled, paymentId, isCompensating: true })
  const refused = { cause: { code: '23514', constraint } }
  await expect(insert(filled(change, paymentId))).rejects.toMatchObject(refused)
})

test.each<[string, object]>([
  ['payment_links_amount_positive', { amount: 0 }],
  ['payment_links_amount_positive', { amount: -1 }],
  ['payment_links_currency_upper', { currency: 'inr' }],
  ['payment_links_status_known', { status: 'open' }],
  ['payment_links_paid', { status: 'paid' }],
  ['payment_links_paid', { paymentId: 'PAYMENT' }],
  ['payment_links_paid', { status: 'canceled', paymentId: 'PAYMENT' }],
])('the constraint %s refuses a payment link with %j', async (constraint, change) => {
  const { ours, paymentId } = await owned()
  const insert = (values: object) =>
    db
      .insert(paymentLinks)
      .values({ id: newId('payment_link'), ...ours, ...money, url: 'x', ...values })
  await insert({})
  await insert({ status: 'paid', paymentId })
  const refused = { cause: { code: '23514', constraint } }
  await expect(insert(filled(change, paymentId))).rejects.toMatchObject(refused)
})

/** Adds an order and a link that can be paid. */
async function payables() {
  const { ours, addPayment } = await owned()
  const [orderId, paymentLinkId] = [newId('order'), newId('payment_link')]
  await db.insert(orders).values({ id: orderId, ...ours, ...money, fulfilBy: new Date() })
  await db.insert(paymentLinks).values({ id: paymentLinkId, ...ours, ...money, url: 'x' })
  return { ours, addPayment, orderId, paymentLinkId }
}

test('a payment for both an order and a link is refused', async () => {
  const { addPayment, orderId, paymentLinkId } = await payables()
  const refused = { cause: { code: '23514', constraint: 'payments_for_one' } }
  await expect(addPayment({ orderId, paymentLinkId })).rejects.toMatchObject(refused)
})

test.each(['pending', 'authorized', 'succeeded'])(
  'a second payment for an order or link is refused while the first is %s',
  async (status) => {
    const { addPayment, orderId, paymentLinkId } = await payables()
    const amountCaptured = status === 'succeeded' ? 1_000 : 0
    for (const [constraint, payable] of [
      ['payments_open_order_key', { orderId }],
      ['payments_open_link_key', { paymentLinkId }],
    ] as const) {
      await addPayment({ ...payable, status: 'failed', failureCode: 'expired' })
      await addPayment({ ...payable, status: 'canceled' })
      await addPayment({ ...payable, status, amountCaptured })
      const refused = { cause: { code: '23505', constraint } }
      await expect(addPayment(payable)).rejects.toMatchObject(refused)
    }
  },
)

test('a command of an unknown kind is refused', async () => {
  const { ours } = await owned()
  const insert = (kind: string) =>
    db.insert(commands).values({
      id: newId('command'),
      ...ours,
      resourceId: newId('order'),
      nextSweepAt: new Date(),
      kind: kind as 'cancel',
    })
  for (const kind of ['fulfill', 'cancel', 'close']) await insert(kind)
  const refused = { cause: { code: '23514', constraint: 'commands_kind_known' } }
  await expect(insert('ship')).rejects.toMatchObject(refused)
})
