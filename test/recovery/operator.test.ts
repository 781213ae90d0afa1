import type { WorkflowHandle } from '@temporalio/client'
import { eq } from 'drizzle-orm'
import { payments } from '../../db/payments/schema.ts'
import { attempts, deliveries, endpoints, events } from '../../db/webhooks/schema.ts'
import type { Provider } from '../../providers/provider.ts'
import { sandboxCharges } from '../../providers/sandbox/schema.ts'
import { callAs, testApp, testProviders } from '../support/app.ts'
import { addMerchant, type Merchant, testDb } from '../support/db.ts'
import { testEndpoint } from '../support/endpoint.ts'
import {
  everythingOf,
  pause,
  resetWorkflow,
  testActivities,
  until,
  waitingActivity,
} from '../support/stack.ts'
import { devServerEnv } from '../support/temporal.ts'
import { addEndpoint } from '../webhooks/delivery.ts'

const db = testDb()
const temporal = devServerEnv()
const endpoint = testEndpoint()
const ok = async () => ({ status: 200 })
const busy = async () => ({ status: 503 })

let merchant: Merchant
let secret: string
beforeEach(async () => {
  merchant = await addMerchant(db)
  const { url } = endpoint
  const eventTypes = ['payment.succeeded' as const]
  const added = await addEndpoint(db, { merchantId: merchant.id, url, eventTypes })
  secret = added.secret
  endpoint.requests.length = 0
  endpoint.answer = ok
})

const workflow = (id: string) => temporal.client().workflow.getHandle(id)
const upi = { amount: 50_000, currency: 'INR', method: 'upi', vpa: 'test@upi' }
const card = { number: '4242424242424242', exp_month: 12, exp_year: 2099, cvc: '987' }

/** Posts a payment through the API, waits until it is settled, and finds its one delivery. */
async function pay(body: object = upi): Promise<{ id: string; delivery: string }> {
  const { app } = testApp(db, { temporal: temporal.client() })
  const answer = await callAs(app, merchant)('POST', '/api/v1/payments', body)
  expect(answer).toMatchObject({ status: 201, body: { status: 'pending' } })
  await workflow(answer.body.id).result()
  const [row] = await db
    .select({ id: deliveries.id })
    .from(deliveries)
    .where(eq(deliveries.merchantId, merchant.id))
  return { id: answer.body.id, delivery: row?.id ?? '' }
}

test("Temporal keeps no card number and no vpa from a provider's error message", async () => {
  const { sandbox, ...others } = testProviders(db)
  const words = 'card 4242424242424242 of asha.rao@upi was declined'
  const talkative = {
    ...(sandbox as Provider),
    createCharge: () => Promise.reject(new Error(words)),
  }
  const providers = { ...others, sandbox: talkative }
  await temporal.withActivities(testActivities(db, { providers }), async () => {
    const { app } = testApp(db, { temporal: temporal.client() })
    const { body } = await callAs(app, merchant)('POST', '/api/v1/payments', upi)
    await waitingActivity(workflow(body.id))
    const everything = await everythingOf(workflow(body.id))
    expect(everything).toContain('was declined')
    for (const secret of ['4242424242424242', 'asha.rao']) expect(everything).not.toContain(secret)
    await workflow(body.id).terminate()
  })
})

async function statusOf(delivery: string) {
  const [row] = await db.select().from(deliveries).where(eq(deliveries.id, delivery))
  return row?.status
}

const run = <T>(use: () => Promise<T>) => temporal.withActivities(testActivities(db), use)
const ref = (workflowId: string) => ({ namespace: 'default', execution: { workflowId } })

test('a delivery keeps running after its payment ends, and can be found by MerchantId', async () => {
  endpoint.answer = busy
  await run(async () => {
    const { id, delivery } = await pay()
    const waiting = await waitingActivity(workflow(delivery))
    expect(waiting.lastFailure?.message).toMatch(/^Attempt 1: HTTP 503 in \d+ ms$/)

    const description = await workflow(delivery).describe()
    expect(description.status.name).toBe('RUNNING')
    expect(await description.staticSummary()).toMatch(/^payment.succeeded → 127.0.0.1:/)
    expect(await (await workflow(id).describe()).staticSummary()).toBe('₹500.00 upi payment')

    const query = `MerchantId = '${merchant.id}'`
    const found = await until(async () => {
      const ids: string[] = []
      for await (const { workflowId } of temporal.client().workflow.list({ query }))
        ids.push(workflowId)
      return ids.length === 2 && ids
    })
    expect(found.sort()).toEqual([id, delivery].sort())
  })
})

test('a Reset of the activity of a waiting delivery sends the next attempt at once', async () => {
  endpoint.answer = busy
  await run(async () => {
    const { delivery } = await pay()
    const { activityId } = await waitingActivity(workflow(delivery))
    endpoint.answer = ok
    const { workflowService } = temporal.client()
    const resetAt = Date.now()
    await workflowService.resetActivity({ ...ref(delivery), id: activityId ?? null })
    expect(await workflow(delivery).result()).toMatchObject({ status: 'delivered', attempt: 2 })
    expect(Date.now() - resetAt).toBeLessThan(5_000)
  })
})

test('Pause and Unpause of a delivery keep its retry schedule', async () => {
  endpoint.answer = busy
  await db
    .update(endpoints)
    .set({ retrySchedule: [4] })
    .where(eq(endpoints.merchantId, merchant.id))
  await run(async () => {
    const { delivery } = await pay()
    const { activityId } = await waitingActivity(workflow(delivery))
    const firstAt = Date.now()
    const activity = { ...ref(delivery), id: activityId ?? null }
    await temporal.client().workflowService.pauseActivity(activity)
    await pause(1_000)
    await temporal.client().workflowService.unpauseActivity(activity)
    await waitingActivity(workflow(delivery), 2) // the activity ran too early and waits
    expect(endpoint.requests).toHaveLength(1)
    endpoint.answer = ok
    expect(await workflow(delivery).result()).toMatchObject({ status: 'delivered', attempt: 2 })
    expect(Date.now() - firstAt).toBeGreaterThan(2_500) // less the slack for clocks
  })
})

test('a Reset of a finished payment charges nothing twice and sends nothing twice', async () => {
  await run(async () => {
    const { id, delivery } = await pay()
    await workflow(delivery).result()
    await resetWorkflow(temporal.client(), id)
    await until(async () => (await workflow(id).describe()).status.name === 'COMPLETED')
    expect(await workflow(id).result()).toBe('succeeded')

    expect(await chargesOf(id)).toHaveLength(1)
    expect(await db.select().from(events).where(eq(events.resourceId, id))).toHaveLength(2)
    expect(endpoint.requests).toHaveLength(1)
  })
})

const chargesOf = async (id: string) =>
  db.select().from(sandboxCharges).where(eq(sandboxCharges.paymentId, id))

test('a Reset of a failed delivery sends the webhook again as attempt 1', async () => {
  endpoint.answer = async () => ({ status: 410 })
  await run(async () => {
    const { delivery } = await pay()
    await expect(workflow(delivery).result()).rejects.toThrow()
    expect(await statusOf(delivery)).toBe('failed')
    const call = callAs(testApp(db).app, merchant)
    const { body } = await call('GET', '/api/v1/webhook_endpoints')
    expect(body.data).toMatchObject([{ status: 'disabled' }])
    await call('POST', `/api/v1/webhook_endpoints/${body.data[0].id}/enable`)

    endpoint.answer = ok
    await resetWorkflow(temporal.client(), delivery)
    expect(await workflow(delivery).result()).toMatchObject({ status: 'delivered', attempt: 1 })
    expect(await statusOf(delivery)).toBe('delivered')
    const made = await db.select().from(attempts).where(eq(attempts.deliveryId, delivery))
    expect(made.map(({ httpStatus }) => httpStatus)).toEqual([410, 200])
  })
})

test('a delivery that an operator cancels gets status "failed"', async () => {
  endpoint.answer = busy
  await run(async () => {
    const { delivery } = await pay()
    await waitingActivity(workflow(delivery))
    await workflow(delivery).cancel()
    await expect(workflow(delivery).result()).rejects.toThrow('Workflow execution cancelled')
    expect(await statusOf(delivery)).toBe('failed')
  })
})

test('workflows that an operator terminates are started again, and nothing is charged twice', async () => {
  endpoint.answer = busy
  await run(async () => {
    const { id, delivery } = await pay({ ...upi, vpa: 'test@upi' })
    await waitingActivity(workflow(delivery))
    await workflow(delivery).terminate()
    const stuck = await stuckPayment()
    await workflow(stuck).terminate()
    await until(async () => (await chargesOf(stuck)).length > 0)

    endpoint.answer = ok
    await makeOld()
    const client = temporal.client()
    const options = { taskQueue: 'payments', args: [] as [] }
    const found = await client.workflow.execute('reconcile', { ...options, workflowId: 'r' })
    expect(found).toMatchObject({ payments: 1, refunds: 0, payouts: 0, deliveries: 1, news: 0 })
    await client.workflow.execute('sweep', { ...options, workflowId: 's' })
    expect(await workflow(delivery).result()).toMatchObject({ status: 'delivered' })
    await workflow(stuck).signal('chargeSettled', 'succeeded')
    expect(await workflow(stuck).result()).toBe('succeeded')
    for (const payment of [id, stuck]) expect(await chargesOf(payment)).toHaveLength(1)
  })
})

async function stuckPayment(): Promise<string> {
  const { app } = testApp(db, { temporal: temporal.client() })
  const { body } = await callAs(app, merchant)('POST', '/api/v1/payments', {
    ...upi,
    vpa: 'stuck@upi',
  })
  await pending(workflow(body.id))
  return body.id
}

const pending = (handle: WorkflowHandle) =>
  until(async () => (await handle.describe()).raw.pendingActivities?.[0]?.lastFailure)

/** Makes the merchant's payments and deliveries six minutes old. */
async function makeOld(): Promise<void> {
  const createdAt = new Date(Date.now() - 6 * 60_000)
  await db.update(payments).set({ createdAt }).where(eq(payments.merchantId, merchant.id))
  await db.update(deliveries).set({ createdAt }).where(eq(deliveries.merchantId, merchant.id))
}

test('no history holds a secret, a card number, a cvc or a vpa', async () => {
  endpoint.answer = async () => ({ status: 400, body: 'a private answer' })
  await run(async () => {
    const paid = [await pay({ ...upi, vpa: 'someone.private@upi' })]
    paid.push(await pay({ amount: 100, currency: 'USD', method: 'card', card }))
    await waitingActivity(workflow(paid[0]?.delivery ?? ''))
    const ids = paid.flatMap(({ id, delivery }) => [id, delivery])
    const texts = await Promise.all(ids.map((workflowId) => everythingOf(workflow(workflowId))))
    const text = texts.join()
    expect(text.includes(merchant.id)).toBe(true)
    const hidden = [secret, 'whsec_', 'someone.private', card.number, '"987"', 'a private answer']
    for (const value of [...hidden, merchant.secret]) expect(text.includes(value)).toBe(false)
  })
})

test('the first webhooks start in the same workflow task as the charge', async () => {
  await addEndpoint(db, { merchantId: merchant.id, url: `${endpoint.url}/all` })
  await run(async () => {
    const { id } = await pay()
    const { events: history } = await workflow(id).fetchHistory()
    const firstTask = history?.flatMap((event) => {
      const child = event.startChildWorkflowExecutionInitiatedEventAttributes
      const activity = event.activityTaskScheduledEventAttributes
      const task = Number((child ?? activity)?.workflowTaskCompletedEventId ?? 0)
      return task === 4 ? [child?.workflowType?.name ?? activity?.activityType?.name] : []
    })
    expect(firstTask?.sort()).toEqual(['chargePayment', 'deliverWebhook'])
  })
})
