import { eq } from 'drizzle-orm'
import { settlePayout } from '../../db/payouts/steps.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { settleRefund } from '../../db/refunds/steps.ts'
import type { Provider } from '../../providers/provider.ts'
import { sandboxCharges, sandboxTransfers } from '../../providers/sandbox/schema.ts'
import { resolve } from '../../workflows/index.ts'
import { byCard, card, upi } from '../support/http.ts'
import { testMoving } from './moving.ts'
import { balancesOf, transferRecorded } from './transferring.ts'

const { db, run, post, get, merchantId, refund, payout, reconcile, ...look } = testMoving()
const { handleOf, recorded, untilStatus, untilStage, everything } = look

const HOUR_MS = 3_600_000
const returnedLater = { ...byCard, card: { ...card, number: '4000000000005126' } }
const failed = { status: 'failed', failureCode: 'processing_error', ref: null } as const

const runOf = async (id: string) => (await handleOf(id).describe()).runId

/** Checks that news which is read again starts no workflow and changes no row. */
async function expectNoNews(...ids: string[]) {
  const before = [await everything(), await Promise.all(ids.map(runOf))]
  for (let times = 0; times < 2; times++) await reconcile(...ids)
  expect([await everything(), await Promise.all(ids.map(runOf))]).toEqual(before)
}

describe('Money that comes back after it has arrived', () => {
  const returnsAt = (id: string, at: Date) =>
    db.update(sandboxTransfers).set({ returnsAt: at }).where(eq(sandboxTransfers.objectId, id))
  const returnsNow = (id: string) => returnsAt(id, new Date())

  /** Moves the return an hour away, so that it never comes by itself during a slow test. */
  const wrap = (real: Provider): Partial<Provider> => {
    const stays = (id: string) => returnsAt(id, new Date(Date.now() + HOUR_MS))
    return {
      createRefund: (request) => real.createRefund(request).finally(() => stays(request.refundId)),
      createPayout: (request) => real.createPayout(request).finally(() => stays(request.payoutId)),
    }
  }

  test('a refund that comes back has failed, and the merchant has the money again', async () => {
    await run(
      async () => {
        const id = await refund(returnedLater)
        expect(await handleOf(id).result()).toBe('succeeded')
        await expectNoNews(id)
        await returnsNow(id)
        await reconcile(id)
        const { row, events, booked, transfers, ...rest } = await recorded(id)
        expect(row).toMatchObject({ status: 'failed', failureCode: 'returned', nextSweepAt: null })
        expect(events).toEqual(['refund.created', 'refund.succeeded', 'refund.failed'])
        expect(booked).toEqual(['refund', 'refund_settlement', 'refund_failure'])
        expect(transfers).toMatchObject([{ status: 'failed' }])
        expect(rest).toMatchObject({ available: 50_000, held: 0, owed: 0, out: -50_000 })
        const { body } = await get(`payments/${(await get(`refunds/${id}`)).body.payment_id}`)
        expect(body).toMatchObject({
          status: 'succeeded',
          amount_refunded: 0,
          needs_attention: false,
        })
        await expectNoNews(id)
      },
      { wrap },
    )
  })

  test('a payout that comes back has failed, and the merchant has the money again', async () => {
    await run(
      async () => {
        const id = await payout('returned@upi')
        expect(await handleOf(id).result()).toBe('completed')
        await expectNoNews(id)
        await returnsNow(id)
        await reconcile(id)
        const { row, events, booked, ...rest } = await recorded(id)
        expect(row).toMatchObject({ status: 'failed', failureCode: 'returned', nextSweepAt: null })
        expect(events.slice(1)).toEqual(['payout.processing', 'payout.completed', 'payout.failed'])
        expect(booked).toEqual(['payout', 'payout_settlement', 'payout_failure'])
        expect(rest).toMatchObject({ available: 50_000, held: 0, owed: 0, out: -50_000 })
        await expectNoNews(id)
      },
      { wrap },
    )
  })
})

test.each(['failed', 'canceled'] as const)(
  'a charge that succeeds after its payment is %s is refunded automatically',
  async (status) => {
    const undecided = async () => ({ state: 'processing', checkInMs: null }) as const
    await run(
      async () => {
        const { body: payment } = await post('payments', { ...upi, vpa: 'stuck@upi' })
        const { id } = payment
        await untilStage(id, 'waiting')
        await handleOf(id).cancel()
        await untilStage(id, 'parked')
        expect(await handleOf(id).executeUpdate(resolve, { args: [status, null] })).toBe(status)
        await handleOf(id).result()
        const told = (await transferRecorded(db, { id, merchantId: merchantId() })).events
        await db
          .update(sandboxCharges)
          .set({ source: 'late@upi', decidesAt: new Date() })
          .where(eq(sandboxCharges.paymentId, id))
        await reconcile(id)
        const [late] = await db.select().from(refunds).where(eq(refunds.paymentId, id))
        expect(late).toMatchObject({ amount: 50_000 })
        const refundId = late?.id ?? ''
        await untilStatus(refundId, 'succeeded')
        await handleOf(refundId).result()

        const { body } = await get(`payments/${id}`)
        const amounts = { amount_captured: 50_000, amount_refunded: 50_000 }
        expect(body).toMatchObject({ status, needs_attention: true, ...amounts })
        const paid = await transferRecorded(db, { id, merchantId: merchantId() })
        expect([paid.booked, paid.events]).toEqual([['late_payment'], told])
        const { booked, events, transfers } = await recorded(refundId)
        expect(booked).toEqual(['refund_settlement'])
        expect(events).toEqual(['refund.created', 'refund.succeeded'])
        expect(transfers).toMatchObject([{ status: 'succeeded', amount: 50_000 }])
        const [charge] = await db
          .select()
          .from(sandboxCharges)
          .where(eq(sandboxCharges.paymentId, id))
        expect(charge).toMatchObject({ status: 'succeeded', amountCaptured: 50_000 })
        const none = { available: 0, held: 0, owed: 0, out: 0 }
        expect(await balancesOf(db, merchantId())).toEqual(none)
        await expectNoNews(id, refundId)
      },
      { wrap: () => ({ cancelCharge: undecided }) },
    )
  },
)

describe('Money that arrives after an operator recorded a failure', () => {
  /** Hides the verdict in answers while `hides.yes` is set, but not in the provider's news. */
  const silent =
    (hides: { yes: boolean }) =>
    (real: Provider): Partial<Provider> => ({
      createRefund: async (request) => hide(hides, await real.createRefund(request)),
      retrieveRefund: async (...args) => hide(hides, await real.retrieveRefund(...args)),
      createPayout: async (request) => hide(hides, await real.createPayout(request)),
      retrievePayout: async (id) => hide(hides, await real.retrievePayout(id)),
    })

  function hide<Found extends { state: string }>({ yes }: { yes: boolean }, found: Found): Found {
    return yes && found.state === 'decided'
      ? ({ ...found, state: 'processing', checkInMs: null } as Found)
      : found
  }

  const spend = async () => {
    const destination = { type: 'vpa', vpa: 'test@upi' }
    const all = { amount: 50_000, currency: 'INR', destination }
    const spent = await post('payouts', all)
    expect(spent.status).toBe(201)
    return spent.body.id
  }

  test('a late success of a refund becomes a debt if the merchant spent the money', async () => {
    const hides = { yes: true }
    await run(
      async () => {
        const id = await refund()
        await untilStage(id, 'waiting')
        await handleOf(id).terminate()
        await settleRefund(db, id, failed, new Date())
        hides.yes = false
        const spent = await spend()
        await handleOf(spent).result()
        await reconcile(id)
        const { row, events, booked, ...rest } = await recorded(id)
        expect(row).toMatchObject({ status: 'failed', failureCode: 'processing_error' })
        expect(events).toEqual(['refund.created', 'refund.failed'])
        expect(booked).toEqual(['refund', 'refund_failure', 'late_refund'])
        expect(rest).toMatchObject({ available: 0, held: 0, owed: 20_000, out: 20_000 })
        const { body } = await get(`payments/${(await get(`refunds/${id}`)).body.payment_id}`)
        expect(body).toMatchObject({ status: 'succeeded', needs_attention: true })
        await expectNoNews(id)
      },
      { wrap: silent(hides) },
    )
  })

  test('a late success of a payout becomes a debt as far as the balance is too low', async () => {
    const hides = { yes: true }
    await run(
      async () => {
        const id = await payout()
        await untilStage(id, 'waiting')
        await handleOf(id).terminate()
        await settlePayout(db, id, failed, new Date())
        hides.yes = false
        const spent = await spend()
        await handleOf(spent).result()
        await post('test/balance_topups', { amount: 5_000, currency: 'INR' })
        await reconcile(id)
        const { row, events, booked, ...rest } = await recorded(id)
        expect(row).toMatchObject({ status: 'failed', needsAttention: true })
        expect(events).toEqual(['payout.created', 'payout.processing', 'payout.failed'])
        expect(booked).toEqual(['payout', 'payout_failure', 'late_payout'])
        expect(rest).toMatchObject({ available: 0, held: 0, owed: 15_000, out: 15_000 })
        await expectNoNews(id)
      },
      { wrap: silent(hides) },
    )
  })
})
