import { eq } from 'drizzle-orm'
import { completeAttempt, insertAttempt, takeUpDelivery } from '../../db/webhooks/attempts.ts'
import { failDelivery } from '../../db/webhooks/deliveries.ts'
import { attempts, deliveries } from '../../db/webhooks/schema.ts'
import { testDb } from '../support/db.ts'
import { addDelivery } from './delivery.ts'

const db = testDb()
const now = new Date()
const url = 'https://shop.example/hooks'
const sending = { runId: 'run', attempt: 1, url, requestHeaders: {}, bodySha256: '0'.repeat(64) }
const answer = { responseHeaders: {}, responseBody: '', error: null, latencyMs: 1 }
const succeeded = { ...answer, state: 'succeeded', httpStatus: 200, retryInMs: null } as const
const failed = { ...answer, state: 'failed', httpStatus: 503, retryInMs: 60_000 } as const

/** Records an attempt that is under way. The tests then treat its worker as dead. */
async function begin() {
  const { id: deliveryId, endpointId } = await addDelivery(db, { url })
  const id = await insertAttempt(db, { deliveryId, ...sending }, 'pending', now)
  return { id, deliveryId, endpoint: { id: endpointId, url } }
}

async function recorded(deliveryId: string) {
  const [delivery] = await db.select().from(deliveries).where(eq(deliveries.id, deliveryId))
  const [attempt] = await db.select().from(attempts).where(eq(attempts.deliveryId, deliveryId))
  return { delivery: delivery?.status, attempt: attempt?.state, nextAt: attempt?.nextAttemptAt }
}

/**
 * Runs both at once, many times over. Postgres decides which comes first. Neither may wait forever.
 */
async function race(outcome: typeof succeeded | typeof failed, other: (id: string) => unknown) {
  const begun = await Promise.all(Array.from({ length: 40 }, begin))
  return Promise.all(
    begun.map(async (sent) => {
      const [completed, interfered] = await Promise.allSettled([
        completeAttempt(db, sent, outcome, now),
        other(sent.deliveryId),
      ])
      expect(interfered).toMatchObject({ status: 'fulfilled' })
      if (completed.status === 'rejected')
        expect(completed.reason.message).toBe(`Attempt ${sent.id} was interrupted`)
      return { ...(await recorded(sent.deliveryId)), isCompleted: completed.status === 'fulfilled' }
    }),
  )
}

const takeUp = (id: string) => takeUpDelivery(db, id, 'run')

test('an attempt that succeeds during a takeover is recorded in full or not at all', async () => {
  for (const each of await race(succeeded, takeUp)) {
    const { isCompleted, ...found } = each
    const [delivery, attempt] = isCompleted
      ? ['delivered', 'succeeded']
      : ['pending', 'interrupted']
    expect(found).toEqual({ delivery, attempt, nextAt: null })
  }
})

test('an attempt that fails during a takeover is recorded in full or not at all', async () => {
  for (const each of await race(failed, takeUp)) {
    const { isCompleted, ...found } = each
    const attempt = isCompleted ? 'failed' : 'interrupted'
    const nextAt = isCompleted ? new Date(now.getTime() + 60_000) : null
    expect(found).toEqual({ delivery: 'pending', attempt, nextAt })
  }
})

test('an attempt that ends while its delivery fails is failed or interrupted', async () => {
  for (const each of await race(failed, (id) => failDelivery(db, id, now))) {
    expect(each.delivery).toBe('failed')
    expect(each.attempt).toBe(each.isCompleted ? 'failed' : 'interrupted')
  }
})

test('an attempt with a wrong delivery status or a used number is refused', async () => {
  const { deliveryId } = await begin()
  const again = insertAttempt(db, { deliveryId, ...sending, attempt: 2 }, 'failed', now)
  await expect(again).rejects.toThrow()
  const twice = insertAttempt(db, { deliveryId, ...sending }, 'pending', now)
  await expect(twice).rejects.toThrow()
  expect(await db.$count(attempts, eq(attempts.deliveryId, deliveryId))).toBe(1)
})

test('the late outcome of an interrupted attempt changes nothing', async () => {
  const sent = await begin()
  await takeUp(sent.deliveryId)
  await expect(completeAttempt(db, sent, succeeded, now)).rejects.toThrow('was interrupted')
  const found = { delivery: 'pending', attempt: 'interrupted', nextAt: null }
  expect(await recorded(sent.deliveryId)).toEqual(found)
})
