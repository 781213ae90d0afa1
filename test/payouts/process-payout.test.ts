import { payoutSettled, payoutState } from '../../workflows/index.ts'
import {
  expectKept,
  expectPaid,
  testTransfers,
  tookMs,
  untilStage,
} from '../transfers/transferring.ts'
import { detailsOf } from '../webhooks/delivering.ts'

const { temporal, payout, payoutOf } = testTransfers()

const DAY = 86_400_000
const stuck = { target: 'stuck@upi' }

describe('The sandbox', () => {
  test('the sandbox pays out at once, and the held money is gone', async () => {
    const paid = await payout()
    expectPaid(paid)
    expect(paid.row.needsAttention).toBe(false)
    expect([paid.keys, paid.transfers[0]?.status]).toEqual([[':payout:1'], 'succeeded'])
  })

  test('a payout is accepted, then on its way, then completed, each emitted once', async () => {
    const states: unknown[] = []
    const paid = await payout({
      delayMs: 10_000,
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        states.push(await handle.query(payoutState))
        await temporal.sleep(6_000)
        await untilStage(handle, 'waiting')
        states.push(await handle.query(payoutState))
        expect(await payoutOf(handle.workflowId)).toMatchObject({
          held: 20_000,
          row: { status: 'processing' },
        })
        const status = await handle.result()
        states.push(await handle.query(payoutState))
        return status
      },
    })
    expectPaid(paid)
    expect(states).toEqual([
      { stage: 'waiting', status: 'pending' },
      { stage: 'waiting', status: 'processing' },
      { stage: 'done', status: 'completed' },
    ])
    expect(tookMs(paid.row)).toBeGreaterThanOrEqual(10_000)
    expect(tookMs(paid.row)).toBeLessThan(16_000)
  })

  test.each([
    ['fail@upi', 'declined'],
    ['FAIL@UPI', 'declined'],
    ['000111111116', 'no_account'],
    ['000111111113', 'account_closed'],
  ])('a payout to %s fails: %s', async (target, failureCode) => {
    const paid = await payout({ target })
    expectKept(paid, 'failed')
    expect(paid.row.failureCode).toBe(failureCode)
    expect(paid.events).toEqual(['payout.created', 'payout.processing', 'payout.failed'])
    expect(paid.transfers).toMatchObject([{ status: 'failed' }])
  })

  test('each attempt at down@upi, which is down twice, has its own number and key', async () => {
    const paid = await payout({ target: 'down@upi' })
    expectPaid(paid)
    expect(paid.keys).toEqual([':payout:1', ':payout:2', ':payout:3'])
  })

  test('a payout to timeout@upi loses its answer, and is looked up, not sent again', async () => {
    const paid = await payout({ target: 'timeout@upi', delayMs: 10_000 })
    expectPaid(paid)
    expect(paid.keys).toEqual([':payout:1'])
  })
})

describe('A payout that is on its way', () => {
  test('a waiting payout shows when polling ends; `payoutSettled` ends it at once', async () => {
    const paid = await payout({
      ...stuck,
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        expect(await detailsOf(handle)).toMatch(/ Remit asks the provider again until [-\d]{10}\.$/)
        await temporal.sleep(6 * DAY)
        expect((await payoutOf(handle.workflowId)).row).toMatchObject({
          status: 'processing',
          needsAttention: false,
        })
        await handle.signal(payoutSettled, 'completed')
        return handle.result()
      },
    })
    expectPaid(paid)
    expect(tookMs(paid.row)).toBeLessThan(6 * DAY + 60_000)
  })

  test.each([
    ['no_account', 'no_account'],
    [undefined, 'processing_error'],
    ['gremlins', 'processing_error'],
  ])('a signal "failed" with the code %s fails the payout', async (told, failureCode) => {
    const paid = await payout({
      ...stuck,
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        await handle.signal(payoutSettled, 'failed', told as 'declined')
        return handle.result()
      },
    })
    expectKept(paid, 'failed')
    expect(paid.row.failureCode).toBe(failureCode)
  })

  test('a signal that is no verdict, or is "canceled", changes nothing', async () => {
    const paid = await payout({
      ...stuck,
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        for (const nonsense of ['pending', 'processing', 'succeeded', '', 'Completed', null, 7, {}])
          await handle.signal('payoutSettled', nonsense)
        await handle.signal('payoutSettled')
        await temporal.sleep(60_000)
        const quiet = (await handle.describe()).historyLength
        for (let times = 0; times < 3; times++) {
          await untilStage(handle, 'waiting')
          await handle.signal(payoutSettled, 'canceled')
        }
        await untilStage(handle, 'waiting')
        const { historyLength } = await handle.describe()
        expect(historyLength).toBeLessThan(quiet + 3 * 30)
        await temporal.sleep(3 * 3_600_000)
        expect((await handle.describe()).historyLength).toBe(historyLength)
        expect(await handle.query(payoutState)).toEqual({ stage: 'waiting', status: 'processing' })
        await handle.signal(payoutSettled, 'completed')
        return handle.result()
      },
    })
    expectPaid(paid)
  })

  test('a payout that is on its way can no longer be canceled from the UI', async () => {
    const paid = await payout({
      ...stuck,
      use: async (handle) => {
        await untilStage(handle, 'waiting')
        await handle.cancel()
        await temporal.sleep(60_000)
        expect(await handle.query(payoutState)).toEqual({ stage: 'waiting', status: 'processing' })
        await handle.signal(payoutSettled, 'completed')
        return handle.result()
      },
    })
    expectPaid(paid)
  })
})
