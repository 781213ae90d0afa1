import { webhookActivities } from '../../activities/webhooks/post-webhook.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import { insertEvent } from '../../db/webhooks/events.ts'
import { deliveryStart, eventStart } from '../../temporal/starts.ts'
import { addMerchant, testDb } from '../support/db.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { devServerEnv } from '../support/temporal.ts'
import { addEndpoint, webhookDeps } from './delivery.ts'

// These tests use the real server. The time-skipping server stops skipping once a child workflow
// has outlived its parent.
const db = testDb()
const temporal = devServerEnv()
const endpoint = testEndpoint()
const workflow = (id: string) => temporal.client().workflow.getHandle(id)

beforeEach(() => {
  endpoint.requests = []
  endpoint.answer = async () => ({ status: 200 })
})

/** Commits an event for two endpoints of one merchant, as the API does. */
async function addEvent() {
  const { id: merchantId } = await addMerchant(db)
  for (const path of ['/a', '/b']) {
    await addEndpoint(db, { merchantId, url: endpoint.url + path, retrySchedule: [1] })
  }
  const object = { id: merchantId, object: 'account' }
  const event = { type: 'account.updated' as const, merchantId, object }
  return db.transaction((tx) => insertEvent(tx, event, new Date()))
}

type Event = Awaited<ReturnType<typeof addEvent>>

function publish(event: Event) {
  const { workflowType, ...options } = eventStart(event)
  return temporal.client().workflow.execute(workflowType, options)
}

function run<T>(use: () => Promise<T>): Promise<T> {
  return temporal.withActivities(webhookActivities(webhookDeps(db)), use)
}

const resultsOf = (deliveries: Delivery[]) =>
  Promise.all(deliveries.map(({ id }) => workflow(id).result()))
const pathsAsked = () => endpoint.requests.map(({ path }) => path).sort()

test('each endpoint gets an event from a separate workflow', async () => {
  const event = await addEvent()
  const results = await run(async () => {
    await publish(event)
    return resultsOf(event.deliveries)
  })
  expect(results).toMatchObject([{ status: 'delivered' }, { status: 'delivered' }])
  expect(pathsAsked()).toEqual(['/hooks/a', '/hooks/b'])
})

test('publishEvent ends when all deliveries have started, and waits for none', async () => {
  endpoint.answer = async () => ({ status: endpoint.requests.length > 2 ? 200 : 503 })
  const event = await addEvent()
  await run(async () => {
    await publish(event)
    for (const { id } of event.deliveries) {
      expect((await workflow(id).describe()).status.name).toBe('RUNNING')
    }
    await resultsOf(event.deliveries)
  })
})

test('a delivery that has had its workflow gets no second one and is not sent again', async () => {
  const event = await addEvent()
  const [first] = event.deliveries
  const { workflowType, ...options } = deliveryStart(first as Delivery)
  await run(async () => {
    const handle = await temporal.client().workflow.start(workflowType, options)
    await handle.result()
    expect(endpoint.requests).toHaveLength(1)
    await publish(event)
    await resultsOf(event.deliveries)
    const { runId } = await workflow(handle.workflowId).describe()
    expect(runId).toBe(handle.firstExecutionRunId)
  })
  expect(pathsAsked()).toEqual(['/hooks/a', '/hooks/b'])
})

test('a Cancel of publishEvent keeps the event from no endpoint', async () => {
  const event = await addEvent()
  const { workflowType, ...options } = eventStart(event)
  const handle = await temporal.client().workflow.start(workflowType, options)
  await handle.cancel()
  await run(async () => {
    await handle.result()
    await resultsOf(event.deliveries)
  })
  expect(pathsAsked()).toEqual(['/hooks/a', '/hooks/b'])
})

test('an event that no endpoint wants ends its workflow at once', async () => {
  const event = { ...(await addEvent()), deliveries: [] }
  await run(() => publish(event))
  expect(endpoint.requests).toEqual([])
})
