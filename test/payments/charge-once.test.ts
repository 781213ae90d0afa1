import type { PaymentVerdict } from '../../core/lifecycles/payment.ts'
import type { Charge, Provider } from '../../providers/provider.ts'
import { chargeSettled } from '../../workflows/index.ts'
import { testPaying } from './paying.ts'

const { temporal, pay, addPayment, activitiesOf, recorded, untilStage } = testPaying()

const calls = ['createCharge', 'confirmCharge', 'retrieveCharge', 'cancelCharge'] as const
const steps = ['chargePayment', 'pollCharge'] as const
const moments = ['before', 'after'] as const

let crashes = 0
beforeEach(() => {
  crashes = 0
})

/** Makes the first call fail, before it does anything, or after, so that its result is lost. */
function failOnce<Args extends unknown[], T>(
  when: (typeof moments)[number],
  call: (...args: Args) => Promise<T>,
): (...args: Args) => Promise<T> {
  const crash = () => {
    if (crashes++ === 0) throw new Error('killed')
  }
  return async (...args) => {
    if (when === 'before') crash()
    const result = await call(...args)
    if (when === 'after') crash()
    return result
  }
}

function failing(provider: Provider, call: (typeof calls)[number], when: (typeof moments)[number]) {
  return { [call]: failOnce<never[], unknown>(when, provider[call]) } as Partial<Provider>
}

function expectChargedOnce({ outcome, row, charges, booked, balance, events }: Paid) {
  expect(outcome).toBe('succeeded')
  expect(charges).toMatchObject([{ id: row.providerRef, status: 'succeeded', amount: 50_000 }])
  expect(row).toMatchObject({ status: 'succeeded', amountCaptured: 50_000 })
  expect([booked, balance]).toEqual([1, 50_000])
  expect(events).toEqual(['payment.created', 'payment.succeeded'])
}

type Paid = Awaited<ReturnType<typeof pay>>

describe('A payment is charged once, booked once and emitted once', () => {
  const providerCases = calls.slice(0, 3).flatMap((call) => moments.map((when) => ({ call, when })))

  test.each(providerCases)('a crash $when $call leaves one charge', async ({ call, when }) => {
    const paid = await pay({ delayMs: 5_000, wrap: (real) => failing(real, call, when) })
    expect(crashes).toBeGreaterThan(0)
    expectChargedOnce(paid)
    // A charge is sent again, under a new key, only if the look-up shows that nothing was taken.
    const again = call === 'confirmCharge' && when === 'before'
    expect(paid.row.chargeAttempt).toBe(again ? 2 : 1)
  })

  const stepCases = steps.flatMap((step) => moments.map((when) => ({ step, when })))

  test.each(stepCases)('a crash $when $step leaves one charge', async ({ step, when }) => {
    const paid = await pay({
      delayMs: 5_000,
      activities: (real) => ({ [step]: failOnce<never[], unknown>(when, real[step]) }),
    })
    expect(crashes).toBeGreaterThan(0)
    expectChargedOnce(paid)
    expect(paid.row.chargeAttempt).toBe(1)
  })

  test.each(moments)('a crash %s the activity settlePayment leaves one booking', async (when) => {
    const { row, booked, balance, events } = await pay({
      source: 'stuck@upi',
      activities: (real) => ({ settlePayment: failOnce(when, real.settlePayment) }),
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        await handle.signal(chargeSettled, 'succeeded')
        return handle.result()
      },
    })
    expect(crashes).toBeGreaterThan(0)
    expect(row).toMatchObject({ status: 'succeeded', amountCaptured: 50_000, chargeAttempt: 1 })
    expect([booked, balance]).toEqual([1, 50_000])
    expect(events).toEqual(['payment.created', 'payment.succeeded'])
  })

  test('chargePayment and settlePayment, five times at once, charge and book once', async () => {
    const { id } = await addPayment('test@upi')
    const { chargePayment, settlePayment } = activitiesOf({})
    const runs = await Promise.allSettled(Array.from({ length: 5 }, () => chargePayment(id)))
    expect(runs.map(({ status }) => status)).toContain('fulfilled')
    const verdict = { status: 'succeeded' as const, failureCode: null }
    expect(await chargePayment(id)).toEqual({ ...verdict, deliveries: [] })
    await Promise.all(Array.from({ length: 5 }, () => settlePayment(id, verdict)))
    expectChargedOnce({ outcome: 'succeeded', ...(await recorded(id)) })
  })

  test('a workflow that starts after its charge was sent does not send it again', async () => {
    const confirmCharge = jest.fn(async (): Promise<Charge> => ({ state: 'unsent' }))
    const { outcome, charges, row } = await pay({
      source: 'stuck@upi',
      before: (id) => activitiesOf({}).chargePayment(id),
      wrap: () => ({ confirmCharge }),
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        await handle.signal(chargeSettled, 'succeeded')
        return handle.result()
      },
    })
    expect(outcome).toBe('succeeded')
    expect(confirmCharge).not.toHaveBeenCalled()
    expect(charges).toHaveLength(1)
    expect(row.chargeAttempt).toBe(1)
  })
})

describe('A charge is canceled once', () => {
  test.each(moments)('a crash %s cancelCharge leaves one cancellation', async (when) => {
    const { outcome, charges, booked, events } = await pay({
      source: 'stuck@upi',
      wrap: (real) => failing(real, 'cancelCharge', when),
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        await handle.cancel()
        return handle.result()
      },
    })
    expect(crashes).toBeGreaterThan(0)
    expect(outcome).toBe('canceled')
    expect(charges).toMatchObject([{ status: 'canceled' }])
    expect(booked).toBe(0)
    expect(events).toEqual(['payment.canceled', 'payment.created'])
  })
})

describe('A settled payment', () => {
  test.each([
    ['succeeded', null, 1],
    ['failed', 'card_declined', 0],
    ['canceled', null, 0],
  ] as const)('a payment with status "%s" is not charged', async (status, failureCode, booked) => {
    const confirmCharge = jest.fn()
    const paid = await pay({
      before: (id) => activitiesOf({}).settlePayment(id, { status, failureCode }),
      wrap: () => ({ confirmCharge }),
    })
    expect(paid.outcome).toBe(status)
    expect(paid.row).toMatchObject({ status, failureCode, needsAttention: false })
    expect(paid.charges).toEqual([])
    expect(confirmCharge).not.toHaveBeenCalled()
    expect(paid.booked).toBe(booked)
    expect(paid.events).toEqual(['payment.created', `payment.${status}`].sort())
  })

  test("the provider's verdict wins over an operator's verdict", async () => {
    const { id } = await addPayment('timeout@upi')
    const { chargePayment, settlePayment } = activitiesOf({})
    await expect(chargePayment(id)).rejects.toThrow('the answer was lost')
    const settled = await settlePayment(id, { status: 'failed', failureCode: 'expired' })
    expect(settled.status).toBe('succeeded')
    expect(await recorded(id)).toMatchObject({ booked: 1, balance: 50_000 })
  })

  test.each(['failed', 'canceled'] as const)(
    'a late success keeps the status "%s", is refunded, and is marked for an operator',
    async (status: PaymentVerdict) => {
      const { id } = await addPayment('test@upi')
      const { settlePayment } = activitiesOf({})
      const failureCode = status === 'failed' ? 'expired' : null
      await settlePayment(id, { status, failureCode })
      const late = await settlePayment(id, { status: 'succeeded', failureCode: null })
      expect(late).toMatchObject({ status, refund: { paymentId: id, amount: 50_000 } })
      const again = await settlePayment(id, { status: 'succeeded', failureCode: null })
      expect(again.refund).toBeUndefined()
      const { row, booked, balance } = await recorded(id)
      const amounts = { amountCaptured: 50_000, amountRefunded: 50_000 }
      expect(row).toMatchObject({ status, failureCode, needsAttention: true, ...amounts })
      expect([booked, balance]).toEqual([1, 0])
    },
  )
})

describe('A provider whose look-ups lag behind for a minute', () => {
  const consistencyWindowMs = 60_000

  test('a lost charge is sent again only after the minute is over', async () => {
    const sentAt: number[] = []
    const paid = await pay({
      wrap: (real) => ({
        consistencyWindowMs,
        confirmCharge: async (ref, key) => {
          sentAt.push(await temporal.now())
          if (sentAt.length === 1) throw new Error('no answer')
          return real.confirmCharge(ref, key)
        },
      }),
    })
    expectChargedOnce(paid)
    expect(sentAt).toHaveLength(2)
    const waitMs = (sentAt[1] ?? 0) - (sentAt[0] ?? 0)
    // The second of slack is the time between recording the attempt and sending it.
    expect(waitMs).toBeGreaterThan(consistencyWindowMs - 1_000)
    expect(waitMs).toBeLessThan(consistencyWindowMs + 5_000)
  })

  test('a charge that a late look-up finds is not sent again', async () => {
    const confirmed: string[] = []
    let knownAt = 0
    const paid = await pay({
      wrap: (real) => ({
        consistencyWindowMs,
        confirmCharge: async (ref, key) => {
          confirmed.push(key)
          knownAt = (await temporal.now()) + consistencyWindowMs - 1_000
          await real.confirmCharge(ref, key)
          throw new Error('the answer was lost')
        },
        retrieveCharge: async (ref) => {
          const known = (await temporal.now()) >= knownAt
          return known ? real.retrieveCharge(ref) : { state: 'unsent' }
        },
      }),
    })
    expectChargedOnce(paid)
    expect(confirmed).toEqual([`${paid.row.id}:charge:1`])
  })
})
