import type { PayoutFailureCode, PayoutVerdictStatus } from '../../core/lifecycles/payout.ts'
import { payoutSettled, resolvePayout } from '../../workflows/index.ts'
import {
  expectKept,
  expectPaid,
  type PayoutHandle,
  testTransfers,
  unreachable,
  untilStage,
} from '../transfers/transferring.ts'

const { temporal, payout, payoutOf } = testTransfers()

const DAY = 86_400_000
const stuck = { target: 'stuck@upi' }

const resolve = (handle: PayoutHandle, status: string, code: string | null = null) =>
  handle.executeUpdate(resolvePayout, {
    args: [status as PayoutVerdictStatus, code as PayoutFailureCode],
  })

describe('A payout that the provider does not decide for 7 days', () => {
  async function untilParked(handle: PayoutHandle) {
    await untilStage(handle, 'waiting')
    await expect(resolve(handle, 'completed')).rejects.toMatchObject({
      cause: { message: 'Only a parked payout can be resolved' },
    })
    await temporal.sleep(7 * DAY + 60_000)
    await untilStage(handle, 'parked')
    const { row, held } = await payoutOf(handle.workflowId)
    expect([row.status, row.needsAttention, held]).toEqual(['processing', true, 20_000])
  }

  test('an undecided payout is parked, and a late signal ends it', async () => {
    const paid = await payout({
      ...stuck,
      use: async (handle) => {
        await untilParked(handle)
        await handle.signal(payoutSettled, 'completed')
        return handle.result()
      },
    })
    expectPaid(paid)
    expect(paid.row.needsAttention).toBe(false)
  })

  test('a parked payout is still polled, and a late verdict ends it', async () => {
    let decided = false
    let asked = 0
    const paid = await payout({
      ...stuck,
      wrap: ({ retrievePayout }) => ({
        retrievePayout: async (id) => {
          asked++
          const found = await retrievePayout(id)
          if (!decided || found.state === 'unsent') return found
          const verdict = { status: 'completed', failureCode: null } as const
          return { state: 'decided', ref: found.ref, verdict }
        },
      }),
      use: async (handle) => {
        await untilParked(handle)
        const before = asked
        await temporal.sleep(2 * DAY)
        expect(asked).toBeGreaterThan(before + 40)
        decided = true
        return handle.result()
      },
    })
    expectPaid(paid)
    expect(paid.keys).toEqual([':payout:1'])
  })

  test.each([
    ['completed', null, null],
    ['failed', 'account_closed', 'account_closed'],
    ['failed', 'gremlins', 'processing_error'],
  ] as const)('an operator ends the payout: %s, %s', async (status, told, failureCode) => {
    const paid = await payout({
      ...stuck,
      use: async (handle) => {
        await untilParked(handle)
        for (const nonsense of ['canceled', 'processing', 'succeeded', '', null])
          await expect(resolve(handle, nonsense as string)).rejects.toMatchObject({
            cause: { message: `Not a verdict: ${nonsense}` },
          })
        expect(await resolve(handle, status, told)).toBe(status)
        return handle.result()
      },
    })
    expect(paid.row.failureCode).toBe(failureCode)
    if (status === 'completed') expectPaid(paid)
    else expectKept(paid, 'failed')
  })

  test('a signal "canceled" and a Cancel leave a parked payout parked', async () => {
    const paid = await payout({
      ...stuck,
      use: async (handle) => {
        await untilParked(handle)
        await handle.signal(payoutSettled, 'canceled')
        await handle.cancel()
        await temporal.sleep(60_000)
        await untilStage(handle, 'parked')
        expect(await resolve(handle, 'completed')).toBe('completed')
        return handle.result()
      },
    })
    expectPaid(paid)
  })
})

test('a provider that is away for 8 days gets the payout after it is back', async () => {
  let away = true
  const paid = await payout({
    activities: ({ sendPayout }) => ({
      sendPayout: (id) => (away ? unreachable() : sendPayout(id)),
    }),
    use: async (handle) => {
      await temporal.sleep(8 * DAY)
      await untilStage(handle, 'parked')
      expect((await payoutOf(handle.workflowId)).row).toMatchObject({
        status: 'pending',
        needsAttention: true,
      })
      away = false
      return handle.result()
    },
  })
  expectPaid(paid)
  expect(paid.keys).toEqual([':payout:1'])
})
