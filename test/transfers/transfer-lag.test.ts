import type { Provider, ProviderPayout, ProviderRefund } from '../../providers/provider.ts'
import { expectKept, expectPaid, expectRefunded, testTransfers } from './transferring.ts'

const { temporal, refund, payout } = testTransfers()

describe('A provider whose look-ups lag behind for a minute', () => {
  const consistencyWindowMs = 60_000
  let sentAt: number[] = []
  let knownAt = 0
  beforeEach(() => {
    sentAt = []
    knownAt = 0
  })

  /** Loses the first request before it reaches the provider. */
  const losing = (real: Provider): Partial<Provider> => {
    const send = async <T>(sending: () => Promise<T>): Promise<T> => {
      sentAt.push(await temporal.now())
      if (sentAt.length === 1) throw new Error('no answer')
      return sending()
    }
    return {
      consistencyWindowMs,
      createRefund: (request) => send(() => real.createRefund(request)),
      createPayout: (request) => send(() => real.createPayout(request)),
    }
  }

  /** Delivers the request but loses its answer, and look-ups find the request late. */
  const lagging = (real: Provider): Partial<Provider> => {
    const send = async (sending: Promise<unknown>): Promise<never> => {
      sentAt.push(await temporal.now())
      await sending
      knownAt = (await temporal.now()) + consistencyWindowMs - 1_000
      throw new Error('the answer was lost')
    }
    const isKnown = async () => (await temporal.now()) >= knownAt
    const unsent = { state: 'unsent' } as const
    return {
      consistencyWindowMs,
      createRefund: (request): Promise<ProviderRefund> => send(real.createRefund(request)),
      createPayout: (request): Promise<ProviderPayout> => send(real.createPayout(request)),
      retrieveRefund: async (...args) =>
        (await isKnown()) ? real.retrieveRefund(...args) : unsent,
      retrievePayout: async (id) => ((await isKnown()) ? real.retrievePayout(id) : unsent),
    }
  }

  function expectWaitedOut() {
    expect(sentAt).toHaveLength(2)
    const waitMs = (sentAt[1] ?? 0) - (sentAt[0] ?? 0)
    // The second of slack is the time between recording the attempt and sending it.
    expect(waitMs).toBeGreaterThan(consistencyWindowMs - 1_000)
    expect(waitMs).toBeLessThan(consistencyWindowMs + 5_000)
  }

  test('a lost transfer is sent again only after the minute is over', async () => {
    const refunded = await refund({ wrap: losing })
    expectWaitedOut()
    expectRefunded(refunded)
    expect(refunded.keys).toEqual([':refund:2'])
    sentAt = []
    const paid = await payout({ wrap: losing })
    expectWaitedOut()
    expectPaid(paid)
    expect(paid.keys).toEqual([':payout:2'])
  })

  test('a transfer that a late look-up finds is not sent again', async () => {
    const refunded = await refund({ wrap: lagging })
    expectRefunded(refunded)
    expect(refunded.keys).toEqual([':refund:1'])
    sentAt = []
    const paid = await payout({ delayMs: 150_000, wrap: lagging })
    expectPaid(paid)
    expect([paid.keys, sentAt.length]).toEqual([[':payout:1'], 1])
  })

  test('a cancel does not trust a look-up during the lag that finds nothing', async () => {
    const paid = await payout({
      delayMs: 300_000,
      wrap: (real) => ({
        ...lagging(real),
        cancelPayout: async (...args) => {
          if ((await temporal.now()) < knownAt) return { state: 'unsent' }
          return real.cancelPayout(...args)
        },
      }),
      use: async (handle) => {
        while (knownAt === 0) await new Promise((resolve) => setTimeout(resolve, 20))
        await handle.cancel()
        return handle.result()
      },
    })
    expectKept(paid, 'canceled')
    expect(paid.transfers).toMatchObject([{ status: 'canceled' }])
  })
})
