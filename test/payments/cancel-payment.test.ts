import { chargeSettled } from '../../workflows/index.ts'
import { devServerEnv } from '../support/temporal.ts'
import { type PaymentHandle, testPaying } from './paying.ts'

// These tests run on the dev server, because the time-skipping server stops skipping after an
// activity is canceled while it runs.
const { temporal, pay, untilStage } = testPaying(devServerEnv)

const succeeded = { state: 'decided', verdict: { status: 'succeeded', failureCode: null } } as const

/** Finds a payment's workflow by the key of its charge, which begins with the payment's id. */
function workflowOf(key: string) {
  return temporal.client().workflow.getHandle(key.split(':')[0] ?? '')
}

describe("An operator's Cancel of an undecided charge", () => {
  const source = 'stuck@upi'
  const cancelWaiting = async (handle: PaymentHandle) => {
    await untilStage(handle, 'waiting')
    await handle.cancel()
  }

  test('a Cancel from an operator cancels an undecided charge at the provider', async () => {
    const { outcome, row, charges, events } = await pay({
      source,
      use: async (handle) => {
        await cancelWaiting(handle)
        return handle.result()
      },
    })
    expect(outcome).toBe('canceled')
    expect([row.status, charges[0]?.status]).toEqual(['canceled', 'canceled'])
    expect(events).toEqual(['payment.canceled', 'payment.created'])
  })

  test('a Cancel changes nothing if the provider answers that the charge succeeded', async () => {
    const { outcome, row, balance } = await pay({
      source,
      wrap: () => ({ cancelCharge: async () => succeeded }),
      use: async (handle) => {
        await cancelWaiting(handle)
        return handle.result()
      },
    })
    expect(outcome).toBe('succeeded')
    expect([row.status, balance]).toEqual(['succeeded', 50_000])
  })

  test('a Cancel during the charge waits for the charge and then cancels it', async () => {
    const { outcome, charges } = await pay({
      source,
      wrap: (real) => ({
        confirmCharge: async (ref, key) => {
          await workflowOf(key).cancel()
          return real.confirmCharge(ref, key)
        },
      }),
    })
    expect(outcome).toBe('canceled')
    expect(charges).toMatchObject([{ status: 'canceled' }])
  })

  test('a Cancel of a charge that was never created works while the provider is down', async () => {
    const { outcome, row, charges } = await pay({
      wrap: () => ({ createCharge: async () => Promise.reject(new Error('HTTP 503')) }),
      use: async (handle) => {
        await untilStage(handle, 'charging')
        await handle.cancel()
        return handle.result()
      },
    })
    expect(outcome).toBe('canceled')
    expect(charges).toEqual([])
    expect(row).toMatchObject({ status: 'canceled', chargeAttempt: 1 }) // used up, and never sent
  })

  test('a Cancel of a charge that succeeds meanwhile comes too late', async () => {
    const { outcome, balance } = await pay({
      wrap: (real) => ({
        confirmCharge: async (ref, key) => {
          await workflowOf(key).cancel()
          return real.confirmCharge(ref, key)
        },
      }),
    })
    expect([outcome, balance]).toEqual(['succeeded', 50_000])
  })

  test('a Cancel while the provider fails to confirm a charge takes no money', async () => {
    const { outcome, charges } = await pay({
      wrap: () => ({
        confirmCharge: async (_, key) => {
          await workflowOf(key).cancel()
          throw new Error('HTTP 503')
        },
      }),
    })
    expect(outcome).toBe('canceled')
    expect(charges).toMatchObject([{ status: 'canceled' }])
  })
})

describe("The signal `chargeSettled` from the provider's webhook", () => {
  test('the first of two signals settles a charge, even before the provider answers', async () => {
    const { outcome, row, booked } = await pay({
      source: 'stuck@upi',
      wrap: (real) => ({
        confirmCharge: async (ref, key) => {
          const handle = workflowOf(key)
          await handle.signal(chargeSettled, 'succeeded')
          await handle.signal(chargeSettled, 'failed', 'expired')
          return real.confirmCharge(ref, key)
        },
      }),
    })
    expect(outcome).toBe('succeeded')
    expect([row.status, row.failureCode, booked]).toEqual(['succeeded', null, 1])
  })

  test('the signal settles a charge whose answer is lost', async () => {
    const { outcome, balance } = await pay({
      wrap: (real) => ({
        confirmCharge: async (ref, key) => {
          await real.confirmCharge(ref, key)
          await workflowOf(key).signal(chargeSettled, 'succeeded')
          throw new Error('The answer was lost')
        },
      }),
    })
    expect([outcome, balance]).toEqual(['succeeded', 50_000])
  })

  test('the signal settles a charge while the provider refuses to cancel it', async () => {
    const { outcome, row } = await pay({
      source: 'stuck@upi',
      wrap: () => ({ cancelCharge: async () => Promise.reject(new Error('HTTP 500')) }),
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        await handle.cancel()
        await untilStage(handle, 'canceling')
        await handle.signal(chargeSettled, 'failed', 'upi_declined')
        return handle.result()
      },
    })
    expect(outcome).toBe('failed')
    expect(row.failureCode).toBe('upi_declined')
  })
})
