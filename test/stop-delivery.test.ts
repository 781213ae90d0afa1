import { eq } from 'drizzle-orm'
import { Webhook } from 'standardwebhooks'
import { deleteEndpoint, disableEndpoint } from '../db/endpoints.ts'
import { deliveries, endpoints, events } from '../db/schema.ts'
import { type DeliveryHandle, detailsOf, sleepReally, testDelivering } from './delivering.ts'
import { addEndpoint } from './delivery.ts'

const { db, temporal, endpoint, deliver, answerWith, recorded, untilFailed, addEvent } =
  testDelivering()

const busy = { status: 503 }

describe('An endpoint that answers 410', () => {
  test('is disabled, gets nothing more, and the merchant’s others are told', async () => {
    const askedAt = answerWith({ status: 410 })
    let waiting = { id: '' }
    let other = { id: '', secret: '' }
    const delivery = await deliver({
      before: async ({ merchantId }) => {
        waiting = await addEvent(merchantId)
        const eventTypes = ['webhook_endpoint.disabled' as const]
        other = await addEndpoint(db, { merchantId, url: `${endpoint.url}/other`, eventTypes })
      },
      use: async (handle) => {
        const error = await handle.result().catch((failure) => failure)
        await resultOf(await deliveryTo(other.id))
        return error
      },
    })
    const cause = { message: expect.stringMatching(/^Attempt 1: HTTP 410 in/) }
    expect(delivery.outcome).toMatchObject({ cause: { cause } })
    expect(delivery.row).toMatchObject({ status: 'failed', nextAttemptAt: null })
    expect((await recorded(waiting.id)).row?.status).toBe('skipped')

    expect(askedAt).toHaveLength(2)
    const told = endpoint.requests[1]
    expect(told?.path).toBe('/hooks/other')
    expect(new Webhook(other.secret).verify(told?.body ?? '', { ...told?.headers })).toMatchObject({
      type: 'webhook_endpoint.disabled',
      data: { object: { id: delivery.endpointId, status: 'disabled' } },
    })
  })

  test('is told of once, however many of its deliveries get that answer', async () => {
    answerWith({ status: 410 })
    const { endpointId, merchantId, row } = await deliver({
      before: ({ endpointId }) =>
        db
          .update(endpoints)
          .set({ retrySchedule: [5] })
          .where(eq(endpoints.id, endpointId)),
    })
    expect([row?.status, await statusOf(endpointId)]).toEqual(['failed', 'disabled'])
    const told = await db.select().from(events).where(eq(events.merchantId, merchantId))
    expect(told.map(({ type }) => type)).toEqual(['payment.succeeded', 'webhook_endpoint.disabled'])
  })
})

describe('A delivery is skipped', () => {
  test('when its endpoint is disabled between two attempts', async () => {
    const askedAt = answerWith(busy)
    const { outcome, row, attempts } = await deliver({
      use: async (handle) => {
        await untilFailed(handle)
        const { merchantId, endpointId } = await target(handle)
        await db.transaction((tx) => disableEndpoint(tx, merchantId, endpointId, new Date()))
        const result = await handle.result()
        expect(await detailsOf(handle)).toMatch(/^\*\*Skipped\*\*/)
        return result
      },
    })
    expect(outcome).toEqual({ status: 'skipped' })
    expect(askedAt).toEqual([0])
    expect(row).toMatchObject({ status: 'skipped', nextAttemptAt: null, nextSweepAt: null })
    expect(attempts).toHaveLength(1)
  })

  test('when its endpoint is deleted between two attempts', async () => {
    const askedAt = answerWith(busy)
    const { outcome, row } = await deliver({
      use: async (handle) => {
        await untilFailed(handle)
        const { merchantId, endpointId } = await target(handle)
        await db.transaction((tx) => deleteEndpoint(tx, merchantId, endpointId, new Date()))
        return handle.result()
      },
    })
    expect(outcome).toEqual({ status: 'skipped' })
    expect(askedAt).toEqual([0])
    expect(row?.status).toBe('skipped')
  })

  test('when it was committed just after its endpoint was disabled', async () => {
    const askedAt = answerWith()
    const { outcome, row } = await deliver({
      before: ({ endpointId }) =>
        db.update(endpoints).set({ status: 'disabled' }).where(eq(endpoints.id, endpointId)),
    })
    expect(outcome).toEqual({ status: 'skipped' })
    expect(askedAt).toEqual([])
    expect(row).toMatchObject({ status: 'skipped', nextSweepAt: null })
  })
})

describe('A canceled delivery', () => {
  test('has failed', async () => {
    const askedAt = answerWith(busy)
    const { outcome, row, attempts } = await deliver({
      use: async (handle) => {
        await untilFailed(handle)
        await handle.cancel()
        const error = await handle.result().catch((failure) => failure)
        expect(await detailsOf(handle)).toMatch(/^\*\*Canceled\*\* by an operator/)
        return error
      },
    })
    expect(outcome).toMatchObject({ cause: { name: 'CancelledFailure' } })
    expect(row).toMatchObject({ status: 'failed', nextAttemptAt: null, nextSweepAt: null })
    expect(attempts).toHaveLength(1)
    expect(askedAt).toEqual([0])
  })

  test('records the attempt that is on its way', async () => {
    let cancel = async () => {}
    const askedAt = answerWith({ ...busy, meanwhile: () => cancel() })
    const { row, attempts } = await deliver({
      before: async ({ id }) => {
        cancel = async () => {
          await temporal.client().workflow.getHandle(id).cancel()
          await sleepReally(200)
        }
      },
    })
    expect(askedAt).toEqual([0])
    expect(row).toMatchObject({ status: 'failed', nextAttemptAt: null })
    expect(attempts).toMatchObject([{ state: 'failed', httpStatus: 503 }])
  })

  test('is delivered if the attempt that is on its way succeeds', async () => {
    let cancel = async () => {}
    answerWith({ status: 200, meanwhile: () => cancel() })
    const { row, attempts } = await deliver({
      before: async ({ id }) => {
        cancel = async () => {
          await temporal.client().workflow.getHandle(id).cancel()
          await sleepReally(200)
        }
      },
    })
    expect(row?.status).toBe('delivered')
    expect(attempts).toMatchObject([{ state: 'succeeded' }])
  })
})

async function deliveryTo(endpointId: string): Promise<string> {
  const [row] = await db.select().from(deliveries).where(eq(deliveries.endpointId, endpointId))
  return row?.id ?? ''
}

async function resultOf(workflowId: string): Promise<unknown> {
  return temporal.client().workflow.getHandle(workflowId).result()
}

async function statusOf(endpointId: string) {
  const [row] = await db.select().from(endpoints).where(eq(endpoints.id, endpointId))
  return row?.status
}

async function target(handle: DeliveryHandle) {
  const { row } = await recorded(handle.workflowId)
  return { merchantId: row?.merchantId ?? '', endpointId: row?.endpointId ?? '' }
}
