import { chargeSettled, resolveOrder } from '../../workflows/index.ts'
import { upi } from '../support/http.ts'
import { type Call, testRecording } from '../support/recording.ts'

// This file records the histories that histories.record.ts leaves out: those of orders, payment
// links, inbound events and schedules.

const { temporal, record, save, handleOf, closed, scheduled, inStage } = testRecording()

const DAY_MS = 86_400_000
const path = (id: string) => (id.startsWith('ord_') ? 'orders' : 'payment_links')

/** Adds an order, or a link if `expiresInMs` is given. */
async function addSale(call: Call, expiresInMs?: number): Promise<string> {
  const { amount, currency } = upi
  if (expiresInMs === undefined)
    return (await call('POST', '/api/v1/orders', { amount, currency })).body.id
  const expires_at = new Date(Date.now() + expiresInMs).toISOString()
  return (await call('POST', '/api/v1/payment_links', { amount, currency, expires_at })).body.id
}

async function pay(call: Call, id: string, vpa = upi.vpa): Promise<string> {
  const { body } = id.startsWith('ord_')
    ? await call('POST', '/api/v1/payments', { ...upi, vpa, order_id: id })
    : await call('POST', `/pay/${id}`, { method: 'upi', vpa })
  return body.id
}

const told = (call: Call, id: string, what: 'fulfill' | 'cancel') =>
  call('POST', `/api/v1/${path(id)}/${id}/${what}`, {})

/** Each function returns the id of the workflow whose history is recorded. */
const whatIsSold: Record<string, (call: Call) => Promise<string>> = {
  'order-fulfilled': async (call) => {
    const id = await addSale(call)
    await pay(call, id)
    await inStage(id, 'awaiting_fulfilment')
    await told(call, id, 'fulfill')
    return id
  },
  'order-refunded': async (call) => {
    const id = await addSale(call)
    await pay(call, id)
    await inStage(id, 'awaiting_fulfilment')
    await told(call, id, 'cancel')
    return id
  },
  'order-refunded-by-operator': async (call) => {
    const id = await addSale(call)
    await pay(call, id, 'norefund@upi')
    await inStage(id, 'awaiting_fulfilment')
    await told(call, id, 'cancel')
    await inStage(id, 'refund_failed')
    await handleOf(id).executeUpdate(resolveOrder)
    return id
  },
  'order-canceled-while-paid': async (call) => {
    const id = await addSale(call)
    await scheduled(await pay(call, id, 'stuck@upi'), 'pollCharge')
    await told(call, id, 'cancel')
    return id
  },
  'payment-of-an-order': async (call) => {
    const id = await addSale(call)
    return pay(call, id)
  },
  'link-paid': async (call) => {
    const id = await addSale(call, DAY_MS)
    await inStage(id, 'active')
    await pay(call, id)
    return id
  },
  'link-canceled': async (call) => {
    const id = await addSale(call, DAY_MS)
    await scheduled(await pay(call, id, 'stuck@upi'), 'pollCharge')
    await told(call, id, 'cancel')
    return id
  },
  'link-expired-while-paid': async (call) => {
    const id = await addSale(call, 3_000)
    const paymentId = await pay(call, id, 'stuck@upi')
    await inStage(id, 'awaiting_payment_end')
    await handleOf(paymentId).signal(chargeSettled, 'failed', 'expired')
    return id
  },
}

test.each(Object.entries(whatIsSold))('%s', async (name, sell) => {
  await record(0, async (call) => {
    const id = await sell(call)
    await closed(id)
    await save(id, name)
  })
})

test('the history of an inbound event that is applied', async () => {
  await record(0, async (call) => {
    const { body: invoice } = await call('POST', '/api/v1/invoices', {
      amount: 500,
      currency: 'INR',
    })
    const event = { event_id: 'evt_bank_1', invoice_id: invoice.id, amount: 500 }
    const { body } = await call('POST', '/webhooks/payments', event)
    await closed(body.id)
    await save(body.id, 'inbound-event-applied')
  })
})

test('the history of a prune', async () => {
  await record(0, async () => {
    const start = { workflowId: 'prune', taskQueue: 'payments', args: [] }
    await temporal.client().workflow.execute('prune', start)
    await save('prune', 'pruned')
  })
})
