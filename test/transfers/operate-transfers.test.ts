import { eq } from 'drizzle-orm'
import { payouts } from '../../db/payouts/schema.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { resetWorkflow } from '../support/stack.ts'
import { testMoving } from './moving.ts'

const { db, temporal, run, post, refund, payout, reconcile, ...look } = testMoving()
const { handleOf, recorded, untilStatus, untilStage, everything } = look

const LATER = { delayMs: 4_000 } // a provider this slow gives a workflow something to wait for
const reset = (id: string) => resetWorkflow(temporal.client(), id)

/**
 * Expects one transfer, one booking, and each event once. A payout that completes between two
 * look-ups is never recorded as processing.
 */
async function expectOnce(id: string, ending: 'succeeded' | 'completed') {
  const { keys, booked, events, held, owed } = await recorded(id)
  const kind = ending === 'succeeded' ? 'refund' : 'payout'
  expect(keys).toEqual([`:${kind}:1`])
  expect(booked).toEqual([kind, `${kind}_settlement`])
  const certain = events.filter((type) => type !== 'payout.processing')
  expect(certain).toEqual([`${kind}.created`, `${kind}.${ending}`])
  expect(new Set(events).size).toBe(events.length)
  expect([held, owed]).toEqual([0, 0])
}

describe("An operator's Reset", () => {
  test('a Reset of a workflow that waits for its provider sends nothing again', async () => {
    await run(async () => {
      const [refunded, paid] = [await refund(), await payout()]
      for (const id of [refunded, paid]) {
        await untilStage(id, 'waiting')
        await reset(id)
      }
      expect(await handleOf(refunded).result()).toBe('succeeded')
      expect(await handleOf(paid).result()).toBe('completed')
      await expectOnce(refunded, 'succeeded')
      await expectOnce(paid, 'completed')
    }, LATER)
  })

  test('a Reset of a workflow that has ended changes nothing', async () => {
    await run(async () => {
      const canceled = await payout('stuck@upi')
      await untilStatus(canceled, 'processing')
      await post(`test/payouts/${canceled}/fail`)
      const ids = [await refund(), await payout(), canceled]
      const ends = await Promise.all(ids.map((id) => handleOf(id).result()))
      expect(ends).toEqual(['succeeded', 'completed', 'failed'])
      const before = await everything()
      for (const id of ids) await reset(id)
      expect(await Promise.all(ids.map((id) => handleOf(id).result()))).toEqual(ends)
      expect(await everything()).toEqual(before)
    })
  })

  test('a Reset of a returned payout leaves the payout returned', async () => {
    await run(async () => {
      const id = await payout()
      await handleOf(id).result()
      expect((await post(`test/payouts/${id}/fail`)).body.status).toBe('failed')
      await handleOf(id).result()
      const before = await everything()
      await reset(id)
      expect(await handleOf(id).result()).toBe('failed')
      expect(await everything()).toEqual(before)
    })
  })

  test('a Reset of a canceled payout leaves the payout canceled', async () => {
    await run(
      async () => {
        const id = await payout()
        await untilStage(id, 'waiting')
        expect((await post(`payouts/${id}/cancel`)).body.status).toBe('canceled')
        await handleOf(id).result()
        await reset(id)
        expect(await handleOf(id).result()).toBe('canceled')
        expect(await recorded(id)).toMatchObject({
          commands: ['cancel done'],
          booked: ['payout', 'payout_cancel'],
          available: 50_000,
          held: 0,
          transfers: [{ status: 'canceled' }],
        })
      },
      { delayMs: 86_400_000 },
    )
  })
})

test('the sweep restarts a terminated refund or payout, which is sent only once', async () => {
  await run(async () => {
    const [refunded, paid] = [await refund(), await payout()]
    for (const id of [refunded, paid]) {
      await untilStage(id, 'waiting')
      await handleOf(id).terminate()
    }
    const longAgo = { createdAt: new Date(Date.now() - 10 * 60_000) }
    await db.update(refunds).set(longAgo).where(eq(refunds.id, refunded))
    await db.update(payouts).set(longAgo).where(eq(payouts.id, paid))
    await reconcile()
    expect(await handleOf(refunded).result()).toBe('succeeded')
    expect(await handleOf(paid).result()).toBe('completed')
    await expectOnce(refunded, 'succeeded')
    await expectOnce(paid, 'completed')
  }, LATER)
})
