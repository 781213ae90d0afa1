import type { Provider, ProviderRefund } from '../../providers/provider.ts'
import { refundState, resolveRefund } from '../../workflows/index.ts'
import {
  expectGivenBack,
  expectRefunded,
  type RefundHandle,
  testTransfers,
  tookMs,
  unreachable,
  untilStage,
} from '../transfers/transferring.ts'

const { temporal, refund, refundOf } = testTransfers()

const DAY = 86_400_000
const HOUR = 3_600_000

describe('The sandbox', () => {
  test('the sandbox refunds at once, and the held money is gone', async () => {
    const refunded = await refund()
    expectRefunded(refunded)
    expect(refunded.keys).toEqual([':refund:1'])
    expect(refunded.payment?.needsAttention).toBe(false)
  })

  test('the sandbox decides after its delay, and is asked once, at the time it named', async () => {
    let asked = 0
    const refunded = await refund({
      delayMs: 5_000,
      wrap: ({ retrieveRefund }) => ({
        retrieveRefund: (...args) => {
          asked++
          return retrieveRefund(...args)
        },
      }),
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        expect(await refundOf(handle.workflowId)).toMatchObject({
          available: 30_000,
          held: 20_000,
          events: ['refund.created'],
          row: { status: 'pending', nextSweepAt: null, providerRef: expect.any(String) },
        })
        return handle.result()
      },
    })
    expectRefunded(refunded)
    expect(asked).toBe(1)
    expect(tookMs(refunded.row)).toBeGreaterThanOrEqual(5_000)
    expect(tookMs(refunded.row)).toBeLessThan(7_000)
  })

  test('a refund to norefund@upi is declined, and the merchant has the money again', async () => {
    const refunded = await refund({ target: 'norefund@upi' })
    expect(refunded.outcome).toBe('failed')
    expect(refunded.row).toMatchObject({ failureCode: 'declined', sendAttempt: 1 })
    expect(refunded.transfers).toMatchObject([{ status: 'failed' }])
    expectGivenBack(refunded)
  })

  test('each attempt at down@upi, which is down twice, has its own number and key', async () => {
    const refunded = await refund({ target: 'down@upi' })
    expectRefunded(refunded)
    expect(refunded.keys).toEqual([':refund:1', ':refund:2', ':refund:3'])
    expect(refunded.transfers.map(({ status }) => status)).toEqual([
      ...['unavailable', 'unavailable', 'succeeded'],
    ])
  })

  test('a refund to timeout@upi loses its answer, and is looked up, not sent again', async () => {
    const refunded = await refund({ target: 'timeout@upi' })
    expectRefunded(refunded)
    expect(refunded.keys).toEqual([':refund:1'])
  })
})

test('a Cancel of a refund from the UI changes nothing, whenever it comes', async () => {
  const refunded = await refund({
    delayMs: 5_000,
    use: async (handle) => {
      await handle.cancel()
      await untilStage(handle, 'waiting')
      return handle.result()
    },
  })
  expectRefunded(refunded)
  const later = await refund({
    delayMs: 5_000,
    use: async (handle) => {
      await untilStage(handle, 'waiting')
      await handle.cancel()
      return handle.result()
    },
  })
  expectRefunded(later)
  expect((await temporal.client().workflow.getHandle(later.row.id).describe()).status.name).toBe(
    'COMPLETED',
  )
})

describe('A refund that the provider does not decide for 7 days', () => {
  let decides = false
  let asked = 0
  beforeEach(() => {
    decides = false
    asked = 0
  })

  function hesitant({ createRefund, retrieveRefund }: Provider): Partial<Provider> {
    async function unlessUndecided(answer: Promise<ProviderRefund>): Promise<ProviderRefund> {
      asked++
      const found = await answer
      if (decides || found.state === 'unsent') return found
      return { state: 'processing', ref: found.ref, checkInMs: null }
    }
    return {
      createRefund: (request) => unlessUndecided(createRefund(request)),
      retrieveRefund: (...args) => unlessUndecided(retrieveRefund(...args)),
    }
  }

  /** Waits until the refund is parked, and checks that Remit polls more often than once a day. */
  async function untilParked(handle: RefundHandle) {
    await untilStage(handle, 'waiting')
    await temporal.sleep(7 * DAY - HOUR)
    expect((await refundOf(handle.workflowId)).payment?.needsAttention).toBe(false)
    await temporal.sleep(2 * HOUR)
    await untilStage(handle, 'parked')
    const { row, payment, ...rest } = await refundOf(handle.workflowId)
    expect([row.status, payment?.needsAttention, rest.held]).toEqual(['pending', true, 20_000])
    const before = asked
    await temporal.sleep(2 * DAY)
    expect(asked).toBeGreaterThan(before + 40)
    expect(await handle.query(refundState)).toEqual({ stage: 'parked', status: 'pending' })
  }

  test('an undecided refund is parked and still polled, and a late verdict ends it', async () => {
    const refunded = await refund({
      wrap: hesitant,
      use: async (handle) => {
        await untilParked(handle)
        decides = true
        return handle.result()
      },
    })
    expectRefunded(refunded)
    expect(refunded.keys).toEqual([':refund:1'])
  })

  test('an operator can resolve a refund only after it is parked', async () => {
    const resolve = (handle: RefundHandle, ...args: ['succeeded' | 'failed', 'declined' | null]) =>
      handle.executeUpdate(resolveRefund, { args })
    const refunded = await refund({
      wrap: hesitant,
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        await expect(resolve(handle, 'succeeded', null)).rejects.toMatchObject({
          cause: { message: 'Only a parked refund can be resolved' },
        })
        await untilParked(handle)
        for (const nonsense of ['pending', 'canceled', 'completed', '', null])
          await expect(resolve(handle, nonsense as 'failed', null)).rejects.toMatchObject({
            cause: { message: `Not a verdict: ${nonsense}` },
          })
        expect(await resolve(handle, 'succeeded', null)).toBe('succeeded')
        return handle.result()
      },
    })
    expectRefunded(refunded)
  })

  test.each([
    ['declined', 'declined'],
    [null, 'processing_error'],
    ['gremlins', 'processing_error'],
  ])('an operator who resolves with the code %s fails the refund', async (told, failureCode) => {
    const refunded = await refund({
      wrap: hesitant,
      use: async (handle) => {
        await untilParked(handle)
        const args: ['failed', 'declined'] = ['failed', told as 'declined']
        expect(await handle.executeUpdate(resolveRefund, { args })).toBe('failed')
        return handle.result()
      },
    })
    expect(refunded.row.failureCode).toBe(failureCode)
    expectGivenBack(refunded)
  })
})

test('a provider that is away for 8 days gets the refund after it is back', async () => {
  let away = true
  const refunded = await refund({
    activities: ({ sendRefund }) => ({
      sendRefund: (id) => (away ? unreachable() : sendRefund(id)),
    }),
    use: async (handle) => {
      await temporal.sleep(8 * DAY)
      await untilStage(handle, 'parked')
      const { row, payment, held } = await refundOf(handle.workflowId)
      expect([row.status, payment?.needsAttention, held]).toEqual(['pending', true, 20_000])
      away = false
      return handle.result()
    },
  })
  expectRefunded(refunded)
  expect(refunded.keys).toEqual([':refund:1'])
})
