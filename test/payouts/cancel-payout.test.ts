import { insertCommand } from '../../db/requests/commands.ts'
import {
  cancelPayout,
  completePayout,
  failPayout,
  payoutSettled,
  payoutState,
} from '../../workflows/index.ts'
import { until } from '../support/stack.ts'
import {
  expectKept,
  expectPaid,
  type PayoutHandle,
  testTransfers,
  unreachable,
  untilStage,
} from '../transfers/transferring.ts'

const { db, temporal, payout, payoutOf } = testTransfers()

const accepted = { waitForStage: 'ACCEPTED' } as const

describe('A Cancel from the UI', () => {
  test('a Cancel of an accepted payout cancels it at the provider', async () => {
    const paid = await payout({
      delayMs: 60_000,
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        await handle.cancel()
        return handle.result()
      },
    })
    expectKept(paid, 'canceled')
    expect(paid.events).toEqual(['payout.created', 'payout.canceled'])
    expect(paid.transfers).toMatchObject([{ status: 'canceled' }])
  })

  test('a payout that is canceled before it is sent is never sent', async () => {
    const paid = await payout({
      use: async (handle) => {
        await handle.cancel()
        return handle.result()
      },
      activities: () => ({ sendPayout: unreachable }),
    })
    expectKept(paid, 'canceled')
    expect(paid.transfers).toEqual([])
  })

  test('a Cancel between failed attempts prevents any further attempt', async () => {
    let tries = 0
    const paid = await payout({
      wrap: () => ({
        createPayout: async () => {
          tries++
          throw new Error('HTTP 503')
        },
      }),
      use: async (handle) => {
        while (tries < 2) await temporal.sleep(1_000)
        await handle.cancel()
        return handle.result()
      },
    })
    expectKept(paid, 'canceled')
    expect(paid.transfers).toEqual([])
    // The cancel uses up the next attempt number, so that no other worker can send it.
    expect(paid.row.sendAttempt).toBe(tries + 1)
    expect(paid.events).toEqual(['payout.created', 'payout.canceled'])
  })

  test('a Cancel of a payout to down@upi prevents another attempt', async () => {
    const paid = await payout({
      target: 'down@upi',
      use: async (handle) => {
        await until(async () => (await payoutOf(handle.workflowId)).transfers.length > 0)
        await handle.cancel()
        return handle.result()
      },
    })
    expectKept(paid, 'canceled')
    for (const { status } of paid.transfers) expect(status).toBe('unavailable')
  })
})

describe('A provider that fails to cancel', () => {
  const deaf = {
    delayMs: 86_400_000,
    wrap: () => ({ cancelPayout: async () => Promise.reject(new Error('HTTP 500')) }),
  }

  test('a signal ends a payout at once while the provider fails to cancel it', async () => {
    const paid = await payout({
      ...deaf,
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        await handle.cancel()
        await untilStage(handle, 'canceling')
        await handle.signal(payoutSettled, 'completed')
        return handle.result()
      },
    })
    expect([paid.outcome, paid.held, paid.available]).toEqual(['completed', 0, 30_000])
  })

  test('a payout whose cancel fails for an hour is parked, and the cancel is retried', async () => {
    let heals = false
    const paid = await payout({
      ...deaf,
      wrap: (real) => ({
        cancelPayout: (...args) =>
          heals ? real.cancelPayout(...args) : deaf.wrap().cancelPayout(),
      }),
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        await handle.cancel()
        await temporal.sleep(2 * 3_600_000)
        expect(await handle.query(payoutState)).toEqual({ stage: 'parked', status: 'pending' })
        expect((await payoutOf(handle.workflowId)).row.needsAttention).toBe(true)
        heals = true
        return handle.result()
      },
    })
    expectKept(paid, 'canceled')
    expect(paid.transfers).toMatchObject([{ status: 'canceled' }])
  })

  test('a payout that never arrived is not sent again while its cancel fails', async () => {
    const paid = await payout({
      ...deaf,
      wrap: () => ({
        ...deaf.wrap(),
        createPayout: async () => Promise.reject(new Error('HTTP 500')),
      }),
      use: async (handle) => {
        await until(async () => (await payoutOf(handle.workflowId)).row.sendAttempt > 0)
        await handle.cancel()
        await temporal.sleep(2 * 3_600_000)
        const { sendAttempt } = (await payoutOf(handle.workflowId)).row
        await temporal.sleep(3_600_000)
        expect((await payoutOf(handle.workflowId)).row.sendAttempt).toBe(sendAttempt)
        await handle.signal(payoutSettled, 'canceled')
        return handle.result()
      },
    })
    expectKept(paid, 'canceled')
    expect(paid.transfers).toEqual([])
  })
})

describe('A command to the sandbox', () => {
  async function open(id: string, kind: 'complete' | 'fail' | 'cancel'): Promise<void> {
    const { merchantId } = (await payoutOf(id)).row
    const command = { merchantId, resourceId: id, kind, amount: null }
    await db.transaction((tx) => insertCommand(tx, command, new Date()))
  }

  test('a command right after a cancel is not lost', async () => {
    let gate = () => {}
    const opened = new Promise<void>((resolve) => {
      gate = resolve
    })
    const paid = await payout({
      target: 'stuck@upi',
      wrap: ({ createPayout }) => ({
        createPayout: async (request) => {
          await opened
          return createPayout(request)
        },
      }),
      use: async (handle) => {
        const id = handle.workflowId
        await until(async () => (await payoutOf(id)).row.sendAttempt === 1)
        const canceled = await handle.startUpdate(cancelPayout, accepted)
        await open(id, 'complete')
        const completed = await handle.startUpdate(completePayout, accepted)
        gate()
        expect(await canceled.result()).toBe('processing')
        expect(await completed.result()).toBe('completed')
        return handle.result()
      },
    })
    expectPaid(paid)
    expect(paid.commands).toEqual(['complete done'])
  })

  test('a command waits until the payout is sent', async () => {
    const paid = await payout({
      target: 'down@upi',
      delayMs: 86_400_000,
      use: async (handle: PayoutHandle) => {
        await open(handle.workflowId, 'fail')
        const failed = await handle.startUpdate(failPayout, accepted)
        const status = await handle.result()
        expect(await failed.result()).toBe('failed')
        return status
      },
    })
    expectKept(paid, 'failed')
    expect([paid.row.failureCode, paid.commands]).toEqual(['declined', ['fail done']])
  })

  test('a provider without `simulatePayout` refuses commands, and the payout goes on', async () => {
    const paid = await payout({
      target: 'stuck@upi',
      wrap: () => ({ simulatePayout: undefined }) as object,
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        await open(handle.workflowId, 'complete')
        const completed = await handle.startUpdate(completePayout, accepted)
        expect(await completed.result()).toBe('processing')
        expect((await payoutOf(handle.workflowId)).commands).toEqual(['complete refused'])
        await handle.signal(payoutSettled, 'completed')
        return handle.result()
      },
    })
    expectPaid(paid)
  })
})
