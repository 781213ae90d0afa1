import { ApplicationFailure, WorkflowFailedError } from '@temporalio/client'
import { eq, sql } from 'drizzle-orm'
import { idempotencyKeys } from '../../db/requests/schema.ts'
import { attempts, deliveries, events } from '../../db/webhooks/schema.ts'
import { setUpNamespace } from '../../worker/setup.ts'
import { callAs, testApp } from '../support/app.ts'
import { addMerchant, testDb } from '../support/db.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { expectRefusal, upi } from '../support/http.ts'
import { silent } from '../support/log.ts'
import { resetWorkflow, testActivities, until } from '../support/stack.ts'
import { devServerEnv } from '../support/temporal.ts'
import { detailsOf } from '../webhooks/delivering.ts'
import { addEndpoint } from '../webhooks/delivery.ts'

const db = testDb()
const temporal = devServerEnv()
const endpoint = testEndpoint()
const handleOf = (id: string) => temporal.client().workflow.getHandle(id)
const run = <T>(use: () => Promise<T>) => temporal.withActivities(testActivities(db), use)
const prune = () =>
  temporal.client().workflow.execute('prune', {
    workflowId: `prune-${crypto.randomUUID()}`,
    taskQueue: 'payments',
  })

/** Makes a merchant whose payment has succeeded and whose two webhooks have arrived. */
async function paidShop() {
  const merchant = await addMerchant(db)
  await addEndpoint(db, { merchantId: merchant.id, url: endpoint.url })
  const call = callAs(testApp(db, { temporal: temporal.client() }).app, merchant)
  const { body } = await call('POST', '/api/v1/payments', upi, { 'idempotency-key': 'k' })
  expect(await handleOf(body.id).result()).toBe('succeeded')
  const made = await db.select().from(deliveries).where(eq(deliveries.merchantId, merchant.id))
  for (const { id } of made) await handleOf(id).result()
  expect(made).toHaveLength(2)
  return { call, paymentId: body.id as string, made }
}

/** Makes all events, deliveries and idempotency keys 91 days old. */
async function makeOld() {
  const old = sql`created_at - interval '91 days'`
  await db.update(events).set({ createdAt: old })
  await db.update(deliveries).set({ createdAt: old, updatedAt: old })
  await db.update(idempotencyKeys).set({ createdAt: old })
}

test('prune continues each page where the last page ended', async () => {
  const pages = [
    {
      events: 3,
      deliveries: 2,
      attempts: 1,
      next: { createdAt: '2026-01-01 00:00:00+00', id: 'a' },
    },
    {
      events: 0,
      deliveries: 0,
      attempts: 0,
      next: { createdAt: '2026-01-02 00:00:00+00', id: 'b' },
    },
    { events: 1, deliveries: 1, attempts: 1, next: null },
  ]
  const asked: unknown[] = []
  let keyPages = 0
  const activities = {
    pruneKeys: async () => ({ keys: 10, more: ++keyPages < 3 }),
    pruneEvents: async (after: unknown) => {
      asked.push(after)
      return pages[asked.length - 1] ?? { events: 0, deliveries: 0, attempts: 0, next: null }
    },
  }
  const dropped = await temporal.withActivities(activities, prune)
  expect(dropped).toEqual({ idempotencyKeys: 30, events: 4, deliveries: 3, attempts: 2 })
  expect(asked).toEqual([undefined, pages[0]?.next, pages[1]?.next])
})

test('prune ends after a hundred pages of keys and of events, and its details say that there is more', async () => {
  const next = { createdAt: '2026-01-01 00:00:00+00', id: 'a' }
  const activities = {
    pruneKeys: async () => ({ keys: 1, more: true }),
    pruneEvents: async () => ({ events: 1, deliveries: 0, attempts: 0, next }),
  }
  await temporal.withActivities(activities, async () => {
    const handle = await temporal.client().workflow.start('prune', {
      workflowId: 'prune-hundred',
      taskQueue: 'payments',
    })
    expect(await handle.result()).toMatchObject({ idempotencyKeys: 100, events: 100 })
    expect(await detailsOf(handle)).toContain('There is more')
  })
})

test('requests for a pruned event or delivery get 404, and 400 if the id is a cursor', async () => {
  await run(async () => {
    const { call, made } = await paidShop()
    await makeOld()
    await prune()
    const [{ id, eventId } = { id: '', eventId: '' }] = made
    expectRefusal(await call('GET', `/api/v1/events/${eventId}`), 404, 'not_found')
    expectRefusal(await call('GET', `/api/v1/webhook_deliveries/${id}`), 404, 'not_found')
    expectRefusal(await call('POST', `/api/v1/webhook_deliveries/${id}/resend`), 404, 'not_found')
    for (const list of [
      `events?starting_after=${eventId}`,
      `webhook_deliveries?starting_after=${id}`,
    ])
      expectRefusal(await call('GET', `/api/v1/${list}`), 400, 'invalid_request', 'starting_after')
    const ofEvent = await call('GET', `/api/v1/webhook_deliveries?event_id=${eventId}`)
    expect(ofEvent).toMatchObject({ status: 200, body: { data: [] } })
  })
})

test('a Reset after prune ends: a pruned delivery fails, and a payment finds itself succeeded', async () => {
  await run(async () => {
    const { paymentId, made } = await paidShop()
    await makeOld()
    await prune()
    endpoint.requests.length = 0
    const client = temporal.client()
    const [{ id } = { id: '' }] = made
    await resetWorkflow(client, id)
    const failure = await handleOf(id)
      .result()
      .catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(WorkflowFailedError)
    const cause = (failure as WorkflowFailedError).cause?.cause
    expect(cause).toBeInstanceOf(ApplicationFailure)
    expect(cause).toMatchObject({ type: 'not_found', message: `No such webhook delivery: ${id}` })
    await resetWorkflow(client, paymentId)
    await until(async () => (await handleOf(paymentId).describe()).status.name === 'COMPLETED')
    expect(await handleOf(paymentId).result()).toBe('succeeded')
    expect(endpoint.requests).toEqual([])
  })
})

// This test is the last, because its schedules would start workflows beside those of the others.
test('the schedule runs prune every hour, and the details of the workflow say what was dropped', async () => {
  const client = temporal.client()
  await setUpNamespace(client, 'default', silent)
  const schedule = client.schedule.getHandle('prune')
  const { spec, policies, action } = await schedule.describe()
  expect(spec.intervals).toMatchObject([{ every: 3_600_000 }])
  expect(policies.overlap).toBe('SKIP')
  expect(action).toMatchObject({ workflowType: 'prune', workflowRunTimeout: 55 * 60_000 })
  await schedule.pause('for a while')
  await setUpNamespace(client, 'default', silent) // each worker does this at its start
  expect((await schedule.describe()).state).toMatchObject({ paused: true, note: 'for a while' })
  await run(async () => {
    await paidShop()
    await makeOld()
    await schedule.trigger('SKIP')
    const workflowId = await until(async () => {
      const [action] = (await schedule.describe()).info.recentActions
      return action?.action.workflow.workflowId
    }, 'the schedule to act')
    const dropped = { idempotencyKeys: 1, events: 2, deliveries: 2, attempts: 2 }
    expect(await handleOf(workflowId).result()).toEqual(dropped)
    const described = await handleOf(workflowId).describe()
    expect(await described.staticSummary()).toBe('Drop expired idempotency keys and old events')
    expect(await detailsOf(handleOf(workflowId))).toBe(
      '**Dropped** 1 idempotency keys, 2 events, 2 deliveries and 2 attempts.',
    )
  })
  for (const table of [idempotencyKeys, events, deliveries, attempts])
    expect(await db.$count(table)).toBe(0)
})
