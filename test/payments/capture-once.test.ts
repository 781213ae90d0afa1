import type { Charge, Provider } from '../../providers/provider.ts'
import { capture, chargeSettled } from '../../workflows/index.ts'
import { type PaymentHandle, testPaying } from './paying.ts'

const { temporal, pay, addPayment, activitiesOf, recorded, untilStage } = testPaying()

const manual = { captureMethod: 'manual' } as const
const HOUR = 3_600_000
const SLACK_MS = 1_000 // the time between recording an attempt and sending it
const moments = ['before', 'after'] as const

let crashes = 0
let captures: { key: string; amount: number; at: number }[] = []
beforeEach(() => {
  crashes = 0
  captures = []
})

/** Captures only a part, so that a test fails if all of the payment is captured instead. */
async function capturePart(handle: PaymentHandle) {
  await untilStage(handle, 'authorized')
  await handle.startUpdate(capture, { args: [20_000], waitForStage: 'ACCEPTED' })
  return handle.result()
}

/** Records each capture that reaches the provider. */
function noted(real: Provider, more: Partial<Provider> = {}): Partial<Provider> {
  const captureCharge = more.captureCharge ?? real.captureCharge
  return {
    ...more,
    captureCharge: async (ref, amount, key) => {
      captures.push({ key, amount, at: await temporal.now() })
      return captureCharge(ref, amount, key)
    },
  }
}

function crashOnce(): void {
  if (crashes++ === 0) throw new Error('killed')
}

function keysOf({ row }: Pick<Paid, 'row'>): string[] {
  return captures.map(({ key }) => key.replace(row.id, ''))
}

function expectCapturedOnce({ outcome, row, charges, booked, balance, events }: Paid) {
  expect(outcome).toBe('succeeded')
  expect(charges).toMatchObject([{ status: 'succeeded', amountCaptured: 20_000 }])
  expect(row).toMatchObject({ status: 'succeeded', amountCaptured: 20_000, needsAttention: false })
  expect([booked, balance]).toEqual([1, 20_000])
  expect(events).toEqual(['payment.authorized', 'payment.created', 'payment.succeeded'])
}

type Paid = Awaited<ReturnType<typeof pay>>

describe('A payment is captured once, booked once and emitted once', () => {
  test.each(moments)('a crash %s the activity captureCharge leaves one capture', async (when) => {
    const paid = await pay({
      ...manual,
      wrap: (real) => noted(real),
      activities: ({ captureCharge }) => ({
        captureCharge: async (...args) => {
          if (when === 'before') crashOnce()
          const settled = await captureCharge(...args)
          if (when === 'after') crashOnce()
          return settled
        },
      }),
      use: capturePart,
    })
    expect(crashes).toBeGreaterThan(0)
    expectCapturedOnce(paid)
    expect(keysOf(paid)).toEqual([':capture:1'])
  })

  test.each([
    ['before', [':capture:1', ':capture:2']],
    ['after', [':capture:1']],
  ])("a crash %s the provider's captureCharge leaves one capture", async (when, keys) => {
    const paid = await pay({
      ...manual,
      wrap: (real) =>
        noted(real, {
          captureCharge: async (...args) => {
            if (when === 'before') crashOnce()
            const charge = await real.captureCharge(...args)
            if (when === 'after') crashOnce()
            return charge
          },
        }),
      use: capturePart,
    })
    expectCapturedOnce(paid)
    expect(keysOf(paid)).toEqual(keys)
  })

  test.each(moments)(
    'a crash %s the look-up after a lost answer leaves one capture',
    async (when) => {
      let lookUps = 0
      const paid = await pay({
        ...manual,
        source: 'timeout@upi',
        wrap: (real) =>
          noted(real, {
            retrieveCharge: async (ref) => {
              const isCaptures = captures.length > 0
              if (isCaptures && when === 'before') crashOnce()
              const charge = await real.retrieveCharge(ref)
              if (isCaptures && when === 'after') crashOnce()
              if (isCaptures) lookUps++
              return charge
            },
          }),
        use: capturePart,
      })
      expect([crashes, lookUps]).toEqual([2, 1])
      expectCapturedOnce(paid)
      expect(keysOf(paid)).toEqual([':capture:1'])
    },
  )

  test('a capture whose answer is lost is not sent again', async () => {
    const paid = await pay({
      ...manual,
      source: 'timeout@upi',
      wrap: (real) => noted(real),
      use: capturePart,
    })
    expectCapturedOnce(paid)
    expect(captures).toMatchObject([{ amount: 20_000 }])
  })

  test('each try of a capture at a provider that is down has its own number and key', async () => {
    const paid = await pay({
      ...manual,
      source: 'down@upi',
      wrap: (real) => noted(real),
      use: capturePart,
    })
    expectCapturedOnce(paid)
    expect(keysOf(paid)).toEqual([':capture:1', ':capture:2', ':capture:3'])
    expect(paid.row.captureAttempt).toBe(3)
    const [charge] = paid.charges
    expect(charge?.failedKeys.slice(2)).toEqual(
      [1, 2].map((number) => `${paid.row.id}:capture:${number}`),
    )
  })

  test('a capture succeeds once after the provider is down for an hour', async () => {
    let downUntil = 0
    const paid = await pay({
      ...manual,
      wrap: (real) =>
        noted(real, {
          captureCharge: async (...args) => {
            const at = await temporal.now()
            downUntil ||= at + HOUR
            if (at < downUntil) throw new Error('HTTP 503')
            return real.captureCharge(...args)
          },
        }),
      use: capturePart,
    })
    expectCapturedOnce(paid)
    expect(captures.length).toBeGreaterThan(30)
    const tookMs = (captures.at(-1)?.at ?? 0) - (captures[0]?.at ?? 0)
    expect(tookMs).toBeLessThan(HOUR + 2 * 60_000)
  })

  test('five activities that capture a payment at once, and a sixth, capture it once', async () => {
    const { id } = await addPayment('test@upi', 'manual')
    const { chargePayment, captureCharge } = activitiesOf({ wrap: (real) => noted(real) })
    await chargePayment(id)
    const runs = await Promise.allSettled(
      Array.from({ length: 5 }, () => captureCharge(id, 20_000)),
    )
    expect(runs.map(({ status }) => status)).toContain('fulfilled')
    const again = await captureCharge(id, 50_000)
    expect(again).toMatchObject({ status: 'succeeded' })
    expectCapturedOnce({ outcome: 'succeeded', ...(await recorded(id)) })
    for (const { amount } of captures) expect(amount).toBe(20_000)
    expect(new Set(captures.map(({ key }) => key)).size).toBe(captures.length)
  })
})

test('a webhook that confirms a partial capture without its amount books that part', async () => {
  const paid = await pay({
    ...manual,
    wrap: (real) => ({
      captureCharge: async (ref, amount, key) => {
        await real.captureCharge(ref, amount, key)
        throw new Error('the answer was lost')
      },
      retrieveCharge: async () => Promise.reject(new Error('HTTP 503')),
    }),
    use: async (handle) => {
      await untilStage(handle, 'authorized')
      await handle.startUpdate(capture, { args: [20_000], waitForStage: 'ACCEPTED' })
      await untilStage(handle, 'capturing')
      await temporal.sleep(60_000)
      await handle.signal(chargeSettled, 'succeeded')
      return handle.result()
    },
  })
  expectCapturedOnce(paid)
})

describe('A provider whose look-ups lag behind for a minute', () => {
  const consistencyWindowMs = 60_000

  test('a lost capture is sent again only after the minute is over', async () => {
    const paid = await pay({
      ...manual,
      wrap: (real) =>
        noted(real, {
          consistencyWindowMs,
          captureCharge: async (...args) => {
            if (captures.length === 1) throw new Error('no answer')
            return real.captureCharge(...args)
          },
        }),
      use: capturePart,
    })
    expectCapturedOnce(paid)
    expect(keysOf(paid)).toEqual([':capture:1', ':capture:2'])
    const waitMs = (captures[1]?.at ?? 0) - (captures[0]?.at ?? 0)
    expect(waitMs).toBeGreaterThan(consistencyWindowMs - SLACK_MS)
    expect(waitMs).toBeLessThan(consistencyWindowMs + 5_000)
  })

  test('a capture that a late look-up finds is not sent again', async () => {
    let knownAt = 0
    const paid = await pay({
      ...manual,
      wrap: (real) =>
        noted(real, {
          consistencyWindowMs,
          captureCharge: async (...args) => {
            knownAt = (await temporal.now()) + consistencyWindowMs - 1_000
            await real.captureCharge(...args)
            throw new Error('the answer was lost')
          },
          retrieveCharge: async (ref): Promise<Charge> => {
            const known = (await temporal.now()) >= knownAt
            return known ? real.retrieveCharge(ref) : { state: 'authorized' }
          },
        }),
      use: capturePart,
    })
    expectCapturedOnce(paid)
    expect(keysOf(paid)).toEqual([':capture:1'])
  })
})
