import assert from 'node:assert/strict'
import { eq } from 'drizzle-orm'
import { payments } from '../../db/payments/schema.ts'
import { deliveries } from '../../db/webhooks/schema.ts'
import { sandboxCharges } from '../../providers/sandbox/schema.ts'
import { paymentStart } from '../../temporal/starts.ts'
import { cancel, capture, chargeSettled } from '../../workflows/index.ts'
import { callAs, testApp } from '../support/app.ts'
import { addMerchant } from '../support/db.ts'
import { upi } from '../support/http.ts'
import { type Call, testRecording } from '../support/recording.ts'
import { testActivities } from '../support/stack.ts'
import { addEndpoint } from '../webhooks/delivery.ts'

// This file records the histories of payments, refunds, payouts and deliveries, which
// test/repo/replay.test.ts replays. docs/how/change-a-workflow.md says when to run this file, and
// histories-of-sales.record.ts with it:
// npx jest --testMatch '**/histories*.record.ts'
const { db, temporal, endpoint, record, save, handleOf, closed, scheduled, inStage } =
  testRecording()

type Path = { input?: object; delayMs?: number; until?: (id: string) => Promise<unknown> }

const paths: Record<string, Path> = {
  succeeded: {},
  declined: { input: { vpa: 'fail@upi' } },
  polled: { delayMs: 300 },
  'told-by-signal': {
    input: { vpa: 'stuck@upi' },
    until: async (id) => {
      await scheduled(id, 'pollCharge')
      await handleOf(id).signal(chargeSettled, 'succeeded')
      await closed(id)
    },
  },
  'canceled-by-operator': {
    input: { vpa: 'stuck@upi' },
    until: async (id) => {
      await scheduled(id, 'pollCharge')
      await handleOf(id).cancel()
      await closed(id)
    },
  },
  captured: {
    input: { capture_method: 'manual' },
    until: async (id) => {
      await inStage(id, 'authorized')
      await handleOf(id).executeUpdate(capture, { args: [100] })
      await closed(id)
    },
  },
  'canceled-when-authorized': {
    input: { capture_method: 'manual' },
    until: async (id) => {
      await inStage(id, 'authorized')
      await handleOf(id).executeUpdate(cancel)
      await closed(id)
    },
  },
  'canceled-by-command': {
    input: { vpa: 'stuck@upi' },
    until: async (id) => {
      await scheduled(id, 'pollCharge')
      await handleOf(id).executeUpdate(cancel)
      await closed(id)
    },
  },
  authorized: {
    input: { capture_method: 'manual' },
    until: (id) => inStage(id, 'authorized'),
  },
  waiting: { input: { vpa: 'stuck@upi' }, until: (id) => scheduled(id, 'pollCharge') },
}

test.each(Object.entries(paths))('a payment that is %s', async (name, path) => {
  const { input = {}, delayMs = 0, until: reached = closed } = path
  await record(delayMs, async (call) => {
    const { body } = await call('POST', '/api/v1/payments', { ...upi, ...input })
    await reached(body.id)
    await save(body.id, `payment-${name}`)
  })
})

async function addRefund(call: Call): Promise<string> {
  const { body } = await call('POST', '/api/v1/payments', upi)
  await closed(body.id)
  return (await call('POST', `/api/v1/payments/${body.id}/refunds`, { amount: 20_000 })).body.id
}

async function addPayout(call: Call, vpa: string): Promise<string> {
  const money = { amount: 20_000, currency: 'INR' }
  await call('POST', '/api/v1/test/balance_topups', money)
  const destination = { type: 'vpa', vpa }
  return (await call('POST', '/api/v1/payouts', { ...money, destination })).body.id
}

/** Adds a payout, waits until it is polled, and then posts to `path`. */
async function toldBy(call: Call, vpa: string, path: (id: string) => string): Promise<string> {
  const id = await addPayout(call, vpa)
  await scheduled(id, 'pollPayout')
  await call('POST', `/api/v1/${path(id)}`, {})
  return id
}

const DAY_MS = 86_400_000
const whatLeaves: Record<string, { delayMs?: number; add: (call: Call) => Promise<string> }> = {
  'refund-succeeded': { add: addRefund },
  'refund-polled': { delayMs: 300, add: addRefund },
  'payout-completed': { add: (call) => addPayout(call, 'test@upi') },
  'payout-canceled': {
    delayMs: DAY_MS,
    add: (call) => toldBy(call, 'test@upi', (id) => `payouts/${id}/cancel`),
  },
  'payout-failed-by-command': {
    add: (call) => toldBy(call, 'stuck@upi', (id) => `test/payouts/${id}/fail`),
  },
  'payout-returned': {
    add: async (call) => {
      const id = await addPayout(call, 'test@upi')
      await closed(id)
      await call('POST', `/api/v1/test/payouts/${id}/fail`, {})
      return id
    },
  },
}

test.each(Object.entries(whatLeaves))('%s', async (name, { delayMs = 0, add }) => {
  await record(delayMs, async (call) => {
    const id = await add(call)
    await closed(id)
    await save(id, name)
  })
})

test('the history of a late success', async () => {
  await record(0, async (call) => {
    const input = { ...upi, vpa: 'stuck@upi' }
    const { body } = await call('POST', '/api/v1/payments', input)
    await scheduled(body.id, 'pollCharge')
    await handleOf(body.id).signal(chargeSettled, 'failed', 'expired')
    await closed(body.id)
    const late = { source: 'late@upi', decidesAt: new Date() }
    await db.update(sandboxCharges).set(late).where(eq(sandboxCharges.paymentId, body.id))
    const [row] = await db.select().from(payments).where(eq(payments.id, body.id))
    assert(row)
    const { workflowType, ...start } = paymentStart(row, [])
    await temporal.client().workflow.execute(workflowType, start)
    await save(body.id, 'payment-refunded-late')
  })
})

const answers: Record<string, number[]> = {
  delivered: [200],
  'delivered-late': [503, 200],
  failed: [503, 503],
}

test.each(Object.entries(answers))('a delivery that is %s', async (name, statuses) => {
  const merchant = await addMerchant(db)
  await addEndpoint(db, {
    merchantId: merchant.id,
    url: `${endpoint.url}/${name}`,
    retrySchedule: [1],
  })
  const left = [...statuses]
  endpoint.answer = async ({ path }) => {
    return { status: path.endsWith(name) ? (left.shift() ?? 500) : 200 }
  }
  await temporal.withActivities(testActivities(db), async () => {
    const { app } = testApp(db, { temporal: temporal.client() })
    const input = { amount: 100, currency: 'INR', method: 'upi', vpa: 'stuck@upi' }
    await callAs(app, merchant)('POST', '/api/v1/payments', input)
    const [made] = await db.select().from(deliveries).where(eq(deliveries.merchantId, merchant.id))
    assert(made)
    await closed(made.id)
    await save(made.id, `delivery-${name}`)
  })
})
