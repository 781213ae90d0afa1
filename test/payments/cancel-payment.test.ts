import { chargeSettled } from '../../workflows/index.ts'
import { devServerEnv } from '../support/temporal.ts'
import { type PaymentHandle, testPaying } from './paying.ts'

// On the dev server: the other one stops skipping once an activity is canceled while it runs.
const { temporal, pay, untilStage } = testPaying(devServerEnv)

const succeeded = { state: 'decided', verdict: { status: 'succeeded', failureCode: null } } as const

/** By the idempotency key of its charge. */
function workflowOf(key: string) {
  return temporal.client().workflow.getHandle(key.split(':')[0] ?? '')
}

describe("An operator's Cancel of a charge that is not decided", () => {
  const source = 'stuck@upi'
  const cancelWaiting = async (handle: PaymentHandle) => {
    await untilStage(handle, 'waiting')
    await handle.cancel()
  }

  test('cancels it at the provider', async () => {
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

  test('changes nothing where the provider says that it has succeeded', async () => {
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

  test('while it is being charged waits for the charge, and then cancels it', async () => {
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

  test('of one whose provider never heard of it takes effect while the provider is down', async () => {
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
    expect(row).toMatchObject({ status: 'canceled', chargeAttempt: 1 }) // nobody sends that one
  })

  test('of one that was charged meanwhile comes too late', async () => {
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

  test('takes no money where the provider fails just then', async () => {
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

describe("The provider's own webhook", () => {
  test('settles the charge by the first of two, even before its own answer', async () => {
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

  test('is believed where the answer to the charge is lost just then', async () => {
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

  test('is heard while the provider refuses to cancel', async () => {
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
