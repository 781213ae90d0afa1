import { capture, chargeSettled, type processPayment, state } from '../../workflows/index.ts'
import { type PaymentHandle, testPaying } from './paying.ts'

const { temporal, pay, activitiesOf, recorded, untilStage } = testPaying()

const DAY = 86_400_000
const manual = { captureMethod: 'manual' } as const

/** Starts the update only: the clock skips for a workflow's result, but not for an update's. */
async function heard(handle: PaymentHandle, amount: number | null) {
  return handle.startUpdate(capture, { args: [amount], waitForStage: 'ACCEPTED' })
}

function capturing(amount: number | null, stage = 'authorized') {
  return async (handle: PaymentHandle) => {
    await untilStage(handle, stage)
    const update = await heard(handle, amount)
    const status = await handle.result()
    expect(await update.result()).toBe(status)
    return status
  }
}

describe('An authorized payment that nobody captures', () => {
  test('an uncaptured payment is canceled after 7 days and costs the payer nothing', async () => {
    const { outcome, row, charges, events, booked } = await pay({
      ...manual,
      use: async (handle) => {
        await untilStage(handle, 'authorized')
        expect(await handle.query(state)).toEqual({ stage: 'authorized', status: 'authorized' })
        await temporal.sleep(7 * DAY - 60_000)
        expect((await recorded(handle.workflowId)).row.status).toBe('authorized')
        const status = await handle.result()
        expect(await handle.query(state)).toEqual({ stage: 'done', status: 'canceled' })
        return status
      },
    })
    expect([outcome, row.status, row.needsAttention]).toEqual(['canceled', 'canceled', false])
    expect(charges).toMatchObject([{ status: 'canceled', amountCaptured: 0 }])
    expect(events).toEqual(['payment.authorized', 'payment.canceled', 'payment.created'])
    expect(booked).toBe(0)
    const tookMs = row.updatedAt.getTime() - (row.authorizedAt?.getTime() ?? 0)
    expect(tookMs).toBeGreaterThanOrEqual(7 * DAY)
    expect(tookMs).toBeLessThan(7 * DAY + 60_000)
  })

  test.each([
    ['only for what is left of them', 3, 7],
    ['not at all once they are over', 9, 9],
  ])('a run that takes over waits for the 7 days %s', async (_, daysGone, daysInAll) => {
    const { outcome, row, events } = await pay({
      ...manual,
      before: async (id) => {
        await activitiesOf({}).chargePayment(id)
        await temporal.sleep(daysGone * DAY)
      },
    })
    expect(outcome).toBe('canceled')
    expect(events).toEqual(['payment.authorized', 'payment.canceled', 'payment.created'])
    const tookMs = row.updatedAt.getTime() - (row.authorizedAt?.getTime() ?? 0)
    expect(tookMs).toBeGreaterThanOrEqual(daysInAll * DAY)
    expect(tookMs).toBeLessThan(daysInAll * DAY + 60_000)
  })
})

describe('A capture', () => {
  test('a capture without an amount books all that is authorized', async () => {
    const { outcome, row, charges, events, booked, balance } = await pay({
      ...manual,
      use: capturing(null),
    })
    expect(outcome).toBe('succeeded')
    expect(row).toMatchObject({ amountCaptured: 50_000, captureAttempt: 1 })
    expect(charges).toMatchObject([{ status: 'succeeded', amountCaptured: 50_000 }])
    expect(events).toEqual(['payment.authorized', 'payment.created', 'payment.succeeded'])
    expect([booked, balance]).toEqual([1, 50_000])
  })

  test('a capture of a part books that part, less the fee of that part', async () => {
    const { row, charges, balance } = await pay({ ...manual, feeBps: 250, use: capturing(20_000) })
    expect(row).toMatchObject({ amount: 50_000, amountCaptured: 20_000 })
    expect(charges).toMatchObject([{ amount: 50_000, amountCaptured: 20_000 }])
    expect(balance).toBe(19_500)
  })

  test('a capture on the last day is in time', async () => {
    const { outcome, balance } = await pay({
      ...manual,
      use: async (handle) => {
        await untilStage(handle, 'authorized')
        await temporal.sleep(7 * DAY - 60_000)
        return capturing(null)(handle)
      },
    })
    expect([outcome, balance]).toEqual(['succeeded', 50_000])
  })

  test('a capture that comes before the authorization waits for it', async () => {
    const { outcome, row, balance } = await pay({
      ...manual,
      delayMs: 60_000,
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        const update = await heard(handle, 20_000)
        expect(await handle.query(state)).toEqual({ stage: 'waiting', status: 'pending' })
        const status = await handle.result()
        expect(await update.result()).toBe('succeeded')
        return status
      },
    })
    expect([outcome, row.amountCaptured, balance]).toEqual(['succeeded', 20_000, 20_000])
  })

  test.each([0, -1, 1.5, 'x', {}, true, 1e300])(
    'a capture of %p is refused and leaves no trace',
    async (amount) => {
      const { outcome, row, balance } = await pay({
        ...manual,
        use: async (handle) => {
          await untilStage(handle, 'authorized')
          const wrong = handle.executeUpdate('capture', { args: [amount] })
          await expect(wrong).rejects.toMatchObject({
            cause: { message: expect.stringMatching(/^Not an amount in minor units/) },
          })
          const { events } = await handle.fetchHistory()
          for (const event of events ?? [])
            expect(event.workflowExecutionUpdateAcceptedEventAttributes).toBeFalsy()
          expect((await handle.query(state)).stage).toBe('authorized')
          return capturing(30_000)(handle)
        },
      })
      expect([outcome, row.amountCaptured, balance]).toEqual(['succeeded', 30_000, 30_000])
    },
  )

  test('a capture above the authorized amount is refused, and the payment waits on', async () => {
    const { outcome, row, charges } = await pay({
      ...manual,
      use: async (handle) => {
        await untilStage(handle, 'authorized')
        const wrong = handle.executeUpdate(capture, { args: [50_001] })
        await expect(wrong).rejects.toMatchObject({
          cause: { message: 'Only 50000 is authorized' },
        })
        expect((await handle.query(state)).stage).toBe('authorized')
        return capturing(50_000)(handle)
      },
    })
    expect([outcome, row.amountCaptured]).toEqual(['succeeded', 50_000])
    expect(charges).toMatchObject([{ amountCaptured: 50_000 }])
  })

  test('a capture above the amount, sent before the authorization, takes all of it', async () => {
    const { outcome, row, charges, balance } = await pay({
      ...manual,
      delayMs: 60_000,
      use: capturing(70_000, 'waiting'),
    })
    expect([outcome, row.amountCaptured, balance]).toEqual(['succeeded', 50_000, 50_000])
    expect(charges).toMatchObject([{ amountCaptured: 50_000 }])
  })
})

describe('A payment with manual capture', () => {
  test('a declined payment fails, and a capture that waited is answered "failed"', async () => {
    const { outcome, row, charges, events } = await pay({
      ...manual,
      source: 'fail@upi',
      delayMs: 60_000,
      use: capturing(null, 'waiting'),
    })
    expect([outcome, row.failureCode, row.authorizedAt]).toEqual(['failed', 'upi_declined', null])
    expect(charges).toMatchObject([{ status: 'failed', amountCaptured: 0 }])
    expect(events).toEqual(['payment.created', 'payment.failed'])
  })

  test('a look-up authorizes a payment that the provider decides late', async () => {
    const { outcome, row, events } = await pay({
      ...manual,
      delayMs: 60_000,
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        await temporal.sleep(70_000)
        return capturing(null)(handle)
      },
    })
    expect([outcome, row.chargeAttempt, row.captureAttempt]).toEqual(['succeeded', 1, 1])
    expect(events).toEqual(['payment.authorized', 'payment.created', 'payment.succeeded'])
    const decidedMs = (row.authorizedAt?.getTime() ?? 0) - row.createdAt.getTime()
    expect(decidedMs).toBeGreaterThanOrEqual(60_000)
    expect(decidedMs).toBeLessThan(70_000)
  })

  test.each([
    ['succeeded', null, 50_000],
    ['canceled', null, 0],
    ['failed', 'expired', 0],
  ] as const)('the signal "%s" settles an authorized payment', async (told, code, balance) => {
    const captureCharge = jest.fn()
    const paid = await pay({
      ...manual,
      wrap: () => ({ captureCharge }),
      use: async (handle) => {
        await untilStage(handle, 'authorized')
        await handle.signal(chargeSettled, told, code ?? undefined)
        return handle.result()
      },
    })
    expect(paid.outcome).toBe(told)
    expect(paid.row).toMatchObject({ status: told, failureCode: code, amountCaptured: balance })
    expect(paid.balance).toBe(balance)
    expect(captureCharge).not.toHaveBeenCalled()
    const tookMs = paid.row.updatedAt.getTime() - paid.row.createdAt.getTime()
    expect(tookMs).toBeLessThan(60_000) // long before the 7 days end
    const said = ['payment.authorized', 'payment.created', `payment.${told}`]
    expect(paid.events).toEqual(said.sort())
  })

  test('a payment with manual capture goes through its stages in order', async () => {
    const stages: string[] = []
    const look = async (id: string) => {
      const handle = temporal.client().workflow.getHandle<typeof processPayment>(id)
      const { stage, status } = await handle.query(state)
      stages.push(`${stage} ${status}`)
    }
    await pay({
      ...manual,
      wrap: (real) => ({
        confirmCharge: async (ref, key) => {
          await look(key.split(':')[0] ?? '')
          return real.confirmCharge(ref, key)
        },
        captureCharge: async (ref, amount, key) => {
          await look(key.split(':')[0] ?? '')
          return real.captureCharge(ref, amount, key)
        },
      }),
      use: async (handle) => {
        await untilStage(handle, 'authorized')
        await look(handle.workflowId)
        const status = await capturing(null)(handle)
        await look(handle.workflowId)
        return status
      },
    })
    const expected = ['charging pending', 'authorized authorized', 'capturing authorized']
    expect(stages).toEqual([...expected, 'done succeeded'])
  })
})
