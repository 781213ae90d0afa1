import { eq, sql } from 'drizzle-orm'
import { Webhook } from 'standardwebhooks'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import { deleteEndpoint, disableEndpoint } from '../../db/webhooks/endpoints.ts'
import { deliveries, endpoints, events } from '../../db/webhooks/schema.ts'
import { devServerEnv } from '../support/temporal.ts'
import { atSeconds, detailsOf, ended, sleepReally, testDelivering } from './delivering.ts'
import { addEndpoint } from './delivery.ts'

// These tests use the real server. The time-skipping server stops skipping once a child workflow
// has outlived its parent, and loses a failure that comes after the cancel.
const { db, temporal, endpoint, deliver, start, addEvent, answerWith, recorded, untilFailed } =
  testDelivering(devServerEnv)

const gone = { status: 410 }
const busy = { status: 503 }
const soon = { retrySchedule: [1] }

type End = (...args: Parameters<typeof deleteEndpoint>) => Promise<unknown>

async function toldOf(merchantId: string): Promise<string[]> {
  const found = await db.select().from(events).where(eq(events.merchantId, merchantId))
  return found.filter(({ type }) => type === 'webhook_endpoint.disabled').map(({ id }) => id)
}

async function deliveryTo(endpointId: string): Promise<string> {
  const [row] = await db.select().from(deliveries).where(eq(deliveries.endpointId, endpointId))
  return row?.id ?? ''
}

async function disableQuietly({ endpointId }: Delivery) {
  await db.update(endpoints).set({ status: 'disabled' }).where(eq(endpoints.id, endpointId))
}

describe('An endpoint that answers 410', () => {
  test('a 410 disables the endpoint, skips its deliveries and emits an event', async () => {
    answerWith(gone)
    let waiting = { id: '' }
    let other = { id: '', secret: '' }
    const { outcome, row, endpointId } = await deliver({
      before: async ({ merchantId }) => {
        waiting = await addEvent(merchantId)
        const eventTypes = ['webhook_endpoint.disabled' as const]
        other = await addEndpoint(db, { merchantId, url: `${endpoint.url}/other`, eventTypes })
      },
      use: async (handle, { merchantId }) => {
        const failure = await ended(handle)
        const [told = '', ...more] = await toldOf(merchantId)
        expect(more).toEqual([])
        await temporal.client().workflow.getHandle(told).result()
        await temporal
          .client()
          .workflow.getHandle(await deliveryTo(other.id))
          .result()
        return failure
      },
    })
    const cause = { message: expect.stringMatching(/^Attempt 1: HTTP 410 in/) }
    expect(outcome).toMatchObject({ message: 'Workflow execution failed', cause: { cause } })
    expect(row).toMatchObject({ status: 'failed', nextAttemptAt: null, nextSweepAt: null })
    expect((await recorded(waiting.id)).row).toMatchObject({ status: 'skipped', nextSweepAt: null })

    const [, told, ...more] = endpoint.requests
    expect(more).toEqual([])
    expect(told?.path).toBe('/hooks/other')
    const headers = told?.headers as Record<string, string>
    expect(new Webhook(other.secret).verify(told?.body ?? '', headers)).toMatchObject({
      type: 'webhook_endpoint.disabled',
      data: { object: { id: endpointId, status: 'disabled' } },
    })
  })

  test('two deliveries that get a 410 emit one webhook_endpoint.disabled event', async () => {
    let second: Delivery
    answerWith({ ...gone, meanwhile: async () => ended(await start(second)) }, gone)
    const { row, attempts } = await deliver({
      before: async ({ merchantId }) => {
        second = await addEvent(merchantId)
      },
      use: async (handle, { merchantId }) => {
        await ended(handle)
        expect(await toldOf(merchantId)).toHaveLength(1)
      },
    })
    // The second delivery disabled the endpoint. That skipped the first delivery, which was on its
    // way.
    expect(row.status).toBe('failed')
    expect(attempts).toMatchObject([{ state: 'failed', httpStatus: 410 }])
  })

  test('many deliveries that get a 410 at once all fail, without a deadlock', async () => {
    const more: Delivery[] = []
    let waiting = 8
    const all = new Promise<void>((resolve) => {
      endpoint.answer = async () => {
        if (--waiting === 0) resolve()
        await all
        return gone
      }
    })
    await deliver({
      before: async ({ merchantId }) => {
        while (more.length < 7) more.push(await addEvent(merchantId))
      },
      use: async (handle) =>
        Promise.all([handle, ...(await Promise.all(more.map(start)))].map(ended)),
    })
    expect(await deadlocks()).toBe(0)
    const rows = await Promise.all(more.map(({ id }) => recorded(id)))
    expect(rows.map(({ row }) => row.status)).toEqual(Array(7).fill('failed'))
    expect(rows.map(({ attempts }) => attempts.length)).toEqual(Array(7).fill(1))
  })

  /**
   * Returns how many deadlocks Postgres has ended in this file's database. A connection reports its
   * statistics when it is idle.
   */
  async function deadlocks(): Promise<number> {
    await sleepReally(1_500)
    const { rows } = await db.execute<{ deadlocks: string }>(
      sql`select deadlocks from pg_stat_database where datname = current_database()`,
    )
    return Number(rows[0]?.deadlocks)
  }

  test('a 410 from a URL that was changed meanwhile is retried at the new URL', async () => {
    const moved = async () => {
      await db.update(endpoints).set({ url: `${endpoint.url}/new` })
    }
    answerWith({ ...gone, meanwhile: moved })
    const { outcome, endpointId } = await deliver({ to: soon })
    expect(outcome).toMatchObject({ status: 'delivered', attempt: 2 })
    expect(endpoint.requests.map(({ path }) => path)).toEqual(['/hooks', '/hooks/new'])
    const [row] = await db.select().from(endpoints).where(eq(endpoints.id, endpointId))
    expect(row?.status).toBe('enabled')
  })
})

describe('Skipping a delivery', () => {
  test.each([
    { how: 'disabled', end: disableEndpoint },
    { how: 'deleted', end: deleteEndpoint },
  ])('a waiting delivery is skipped if its endpoint is $how', async ({ end }: { end: End }) => {
    const askedAt = answerWith(busy)
    const { outcome, row, attempts } = await deliver({
      to: soon,
      use: async (handle, { merchantId, endpointId }) => {
        await untilFailed(handle)
        await db.transaction((tx) => end(tx, merchantId, endpointId, new Date()))
        const result = await handle.result()
        expect(await detailsOf(handle)).toMatch(/^\*\*Skipped\*\*.*\n(.*\n)+.* 1 \| 503 \|/)
        return result
      },
    })
    expect(outcome).toEqual({ status: 'skipped' })
    expect(askedAt).toEqual(atSeconds(0))
    expect(row).toMatchObject({ status: 'skipped', nextAttemptAt: null, nextSweepAt: null })
    expect(attempts).toHaveLength(1)
  })

  test('a delivery that is committed while its endpoint is disabled is skipped', async () => {
    const askedAt = answerWith()
    const { outcome, row } = await deliver({ before: (delivery) => disableQuietly(delivery) })
    expect(outcome).toEqual({ status: 'skipped' })
    expect(askedAt).toEqual(atSeconds())
    expect(row).toMatchObject({ status: 'skipped', nextSweepAt: null })
  })

  test('a delivery whose endpoint is disabled while an attempt fails is skipped', async () => {
    let end: () => unknown = () => {}
    const askedAt = answerWith({ ...busy, meanwhile: () => end() })
    const { outcome, row, attempts } = await deliver({
      to: soon,
      before: async ({ merchantId, endpointId }) => {
        end = () => db.transaction((tx) => disableEndpoint(tx, merchantId, endpointId, new Date()))
      },
    })
    expect(outcome).toEqual({ status: 'skipped' })
    expect(askedAt).toEqual(atSeconds(0))
    expect(row).toMatchObject({ status: 'skipped', nextAttemptAt: null })
    expect(attempts).toMatchObject([{ state: 'failed', httpStatus: 503 }])
  })
})

const canceled = { cause: { name: 'CancelledFailure' } }

/** Cancels the delivery while its first attempt is under way. */
function cancelMeanwhile(status: number) {
  let cancel = async () => {}
  const askedAt = answerWith({ status, meanwhile: () => cancel() })
  const before = async ({ id }: { id: string }) => {
    cancel = async () => {
      await temporal.client().workflow.getHandle(id).cancel()
      await sleepReally(300)
    }
  }
  return { askedAt, before }
}

describe('A canceled delivery', () => {
  test('a canceled delivery fails without another attempt', async () => {
    const askedAt = answerWith(busy)
    const { outcome, row, attempts } = await deliver({
      use: async (handle) => {
        await untilFailed(handle)
        expect(await detailsOf(handle)).toMatch(/^\*\*Waiting\*\* after attempt 1 failed\./)
        await handle.cancel()
        const failure = await ended(handle)
        expect(await detailsOf(handle)).toMatch(/^\*\*Canceled\*\* by an operator/)
        return failure
      },
    })
    expect(outcome).toMatchObject(canceled)
    expect(row).toMatchObject({ status: 'failed', nextAttemptAt: null, nextSweepAt: null })
    expect(attempts).toHaveLength(1)
    expect(askedAt).toEqual(atSeconds(0))
  })

  test('a canceled delivery records the attempt under way before it fails', async () => {
    const { askedAt, before } = cancelMeanwhile(503)
    const { row, attempts } = await deliver({ before })
    expect(askedAt).toEqual(atSeconds(0))
    expect(row).toMatchObject({ status: 'failed', nextAttemptAt: null })
    expect(attempts).toMatchObject([{ state: 'failed', httpStatus: 503 }])
  })

  test('a canceled delivery is delivered if the attempt under way succeeds', async () => {
    const { askedAt, before } = cancelMeanwhile(200)
    const { outcome, row, attempts } = await deliver({ before })
    expect(askedAt).toEqual(atSeconds(0))
    expect(outcome).toMatchObject({ status: 'delivered', attempt: 1 })
    expect(row.status).toBe('delivered')
    expect(attempts).toMatchObject([{ state: 'succeeded' }])
  })
})
