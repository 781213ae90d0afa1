import type { Card } from '../../core/money/card.ts'
import type { Charge } from '../../providers/provider.ts'
import { chargeSettled, state } from '../../workflows/index.ts'
import { testProviders } from '../support/app.ts'
import { detailsOf } from '../webhooks/delivering.ts'
import { historyLength, testPaying } from './paying.ts'

const { db, temporal, pay, recorded, untilStage } = testPaying()

const succeeded = { state: 'decided', verdict: { status: 'succeeded', failureCode: null } } as const
const DAY = 86_400_000
const askedUntil = / Remit asks the provider again until [-\d]{10}\.$/
const processing: Charge = { state: 'processing', checkInMs: null }

/** Returns the seconds between moments, rounded down: the clock runs on between its skips. */
function waits(askedAt: number[]): number[] {
  return askedAt.slice(1).map((at, i) => Math.floor((at - (askedAt[i] ?? 0)) / 1000))
}

/** Compares times of the row, because the clock skips ten years ahead once nothing waits. */
function tookMs({ createdAt, updatedAt }: { createdAt: Date; updatedAt: Date }): number {
  return updatedAt.getTime() - createdAt.getTime()
}

async function tokenOf(number: string): Promise<string> {
  const card: Card = { number, exp_month: 12, exp_year: 2099, cvc: '123' }
  const { sandbox } = testProviders(db)
  const made = await sandbox?.createCardToken(card, AbortSignal.timeout(1000))
  return made?.token ?? ''
}

describe('The sandbox', () => {
  test('the sandbox charges any vpa, and the merchant has the money', async () => {
    const { outcome, row, charges, events, booked, balance } = await pay({ source: 'asha@upi' })
    expect(outcome).toBe('succeeded')
    expect(row).toMatchObject({ status: 'succeeded', amountCaptured: 50_000, chargeAttempt: 1 })
    expect(row).toMatchObject({ needsAttention: false, nextSweepAt: null })
    expect(charges).toMatchObject([{ id: row.providerRef, status: 'succeeded', amount: 50_000 }])
    expect(events).toEqual(['payment.created', 'payment.succeeded'])
    expect([booked, balance]).toEqual([1, 50_000])
  })

  test.each([
    ['4242424242424242', 'succeeded', null, 'payment.succeeded', 50_000],
    ['4000000000000002', 'failed', 'card_declined', 'payment.failed', 0],
    ['4000000000009995', 'failed', 'insufficient_funds', 'payment.failed', 0],
  ])('the sandbox decides card %s: %s, %s', async (number, status, failureCode, event, balance) => {
    const paid = await pay({ source: await tokenOf(number) })
    expect(paid.outcome).toBe(status)
    expect(paid.row).toMatchObject({ status, failureCode, chargeAttempt: 1 })
    expect(paid.events).toEqual(['payment.created', event].sort())
    expect(paid.balance).toBe(balance)
  })

  test('a charge of fail@upi is declined, and nothing is booked', async () => {
    const { outcome, row, charges, booked } = await pay({ source: 'fail@upi' })
    expect(outcome).toBe('failed')
    expect(row).toMatchObject({ failureCode: 'upi_declined', amountCaptured: 0 })
    expect(charges).toMatchObject([{ status: 'failed' }])
    expect(booked).toBe(0)
  })

  test('a charge of timeout@upi loses its answer, and is looked up, not sent again', async () => {
    const confirmCharge = jest.fn<Promise<Charge>, [string, string]>()
    const { outcome, row, charges, balance } = await pay({
      source: 'timeout@upi',
      wrap: (real) => ({ confirmCharge: confirmCharge.mockImplementation(real.confirmCharge) }),
    })
    expect(outcome).toBe('succeeded')
    expect(confirmCharge).toHaveBeenCalledTimes(1)
    expect(charges).toMatchObject([{ status: 'succeeded' }])
    expect([row.chargeAttempt, balance]).toEqual([1, 50_000])
  })

  test('each attempt at down@upi, which is down twice, has its own number and key', async () => {
    const { outcome, row, charges, balance } = await pay({ source: 'down@upi' })
    expect(outcome).toBe('succeeded')
    expect(row.chargeAttempt).toBe(3)
    const failedKeys = [`${row.id}:charge:1`, `${row.id}:charge:2`]
    expect(charges).toMatchObject([{ status: 'succeeded', failedKeys }])
    expect(balance).toBe(50_000)
  })

  test('the sandbox decides after its delay, and is asked once, at the time it named', async () => {
    const askedAt: number[] = []
    const { outcome, row } = await pay({
      delayMs: { minMs: 5_000, maxMs: 10_000 },
      wrap: (real) => ({
        retrieveCharge: async (ref) => {
          askedAt.push(await temporal.now())
          return real.retrieveCharge(ref)
        },
      }),
    })
    expect(outcome).toBe('succeeded')
    expect(askedAt).toHaveLength(1)
    expect(tookMs(row)).toBeGreaterThanOrEqual(5_000)
    expect(tookMs(row)).toBeLessThan(12_000)
  })

  test('the merchant gets the amount less the fee', async () => {
    const { balance } = await pay({ feeBps: 250 })
    expect(balance).toBe(48_750)
  })
})

describe('An undecided charge', () => {
  const stuck = { source: 'stuck@upi' }

  test('an undecided charge is polled ever more rarely, and polls add no history', async () => {
    const askedAt: number[] = []
    let lengths: number[] = []
    const retrieveCharge = async (): Promise<Charge> => {
      askedAt.push(await temporal.now())
      return askedAt.length < 13 ? processing : succeeded
    }
    const { outcome } = await pay({
      ...stuck,
      wrap: () => ({ retrieveCharge }),
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        await temporal.sleep(60_000)
        lengths = [askedAt.length, await historyLength(handle)]
        await temporal.sleep(2 * 3_600_000)
        expect(askedAt.length).toBeGreaterThan(10)
        expect(await historyLength(handle)).toBe(lengths[1])
        return handle.result()
      },
    })
    expect(lengths[0]).toBeGreaterThan(2)
    expect(outcome).toBe('succeeded')
    expect(waits(askedAt)).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600])
  })

  test('a waiting payment shows when polling ends; `chargeSettled` ends it at once', async () => {
    const { outcome, row, balance } = await pay({
      ...stuck,
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        expect(await detailsOf(handle)).toMatch(askedUntil)
        await handle.signal(chargeSettled, 'succeeded')
        const status = await handle.result()
        expect(await handle.query(state)).toEqual({ stage: 'done', status: 'succeeded' })
        return status
      },
    })
    expect(outcome).toBe('succeeded')
    expect([row.status, balance]).toEqual(['succeeded', 50_000])
    expect(tookMs(row)).toBeLessThan(5_000)
  })

  test.each([
    ['insufficient_funds', 'insufficient_funds'],
    [undefined, 'processing_error'],
    ['gremlins', 'processing_error'],
    ['toString', 'processing_error'],
  ])('a signal "failed" with the code %s fails the payment', async (told, failureCode) => {
    const { outcome, row } = await pay({
      ...stuck,
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        await handle.signal(chargeSettled, 'failed', told as 'expired')
        return handle.result()
      },
    })
    expect(outcome).toBe('failed')
    expect(row.failureCode).toBe(failureCode)
  })

  test('a signal that is no verdict changes nothing', async () => {
    const { outcome } = await pay({
      ...stuck,
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        for (const nonsense of ['pending', 'authorized', '', 'Succeeded', null, 7, {}]) {
          await handle.signal('chargeSettled', nonsense)
        }
        await handle.signal('chargeSettled')
        await temporal.sleep(3 * 3_600_000)
        expect((await handle.query(state)).stage).toBe('waiting')
        await handle.signal(chargeSettled, 'canceled')
        return handle.result()
      },
    })
    expect(outcome).toBe('canceled')
  })

  test('an undecided charge is canceled at the provider after 7 days', async () => {
    const { outcome, row, charges, events } = await pay(stuck)
    expect(outcome).toBe('canceled')
    expect(row).toMatchObject({ status: 'canceled', failureCode: null, needsAttention: false })
    expect(charges).toMatchObject([{ status: 'canceled' }])
    expect(events).toEqual(['payment.canceled', 'payment.created'])
    expect(tookMs(row)).toBeGreaterThanOrEqual(7 * DAY)
    expect(tookMs(row)).toBeLessThan(7 * DAY + 60_000)
  })
})

test('a charge without a verdict is parked, until a signal brings a verdict', async () => {
  const { outcome, row, balance } = await pay({
    source: 'stuck@upi',
    wrap: () => ({ cancelCharge: async () => processing }),
    use: async (handle) => {
      await untilStage(handle, 'waiting')
      await handle.cancel()
      await untilStage(handle, 'parked')
      await temporal.sleep(2 * DAY)
      expect(await handle.query(state)).toEqual({ stage: 'parked', status: 'pending' })
      const parked = await recorded(handle.workflowId)
      expect(parked.row).toMatchObject({ status: 'pending', needsAttention: true })
      await handle.signal(chargeSettled, 'succeeded')
      return handle.result()
    },
  })
  expect(outcome).toBe('succeeded')
  expect(row).toMatchObject({ status: 'succeeded', needsAttention: false })
  expect(balance).toBe(50_000)
})

test('a payment whose provider refuses to cancel is parked until a verdict comes', async () => {
  let down = true
  const { outcome, charges } = await pay({
    source: 'stuck@upi',
    wrap: (real) => ({
      cancelCharge: async () => Promise.reject(new Error('HTTP 500')),
      retrieveCharge: async (ref) => (down ? real.retrieveCharge(ref) : succeeded),
    }),
    use: async (handle) => {
      await untilStage(handle, 'waiting')
      await temporal.sleep(8 * DAY)
      await untilStage(handle, 'parked')
      expect((await recorded(handle.workflowId)).row.needsAttention).toBe(true)
      down = false
      return handle.result()
    },
  })
  expect(outcome).toBe('succeeded')
  expect(charges).toHaveLength(1)
})
