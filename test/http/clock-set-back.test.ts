import type { Client } from '@temporalio/client'
import { createStarter } from '../../api/http/try-start.ts'
import { defaultRetrySchedule } from '../../core/webhooks/retry-schedule.ts'
import type { Start } from '../../temporal/starts.ts'
import { testDb } from '../support/db.ts'
import { testShop, upi } from '../support/http.ts'
import { silent } from '../support/log.ts'
import { testDelivering } from '../webhooks/delivering.ts'

const MINUTE_MS = 60_000
const HOURS_MS = 3 * 60 * MINUTE_MS
const LATE_MS = 5_000

const { temporal, endpoint, deliver } = testDelivering()
const db = testDb()

afterEach(() => jest.restoreAllMocks())

test('a clock that is set back does not delay the next attempt of a webhook', async () => {
  const askedAt: number[] = []
  endpoint.answer = async () => {
    askedAt.push(await temporal.now())
    return { status: askedAt.length < 3 ? 503 : 200 }
  }
  const now = async () => {
    const at = await temporal.now()
    const waiting = at > (askedAt[1] ?? Infinity) + MINUTE_MS // the second wait is 5 minutes
    return new Date(waiting ? at - HOURS_MS : at)
  }
  const { row } = await deliver({ deps: { now } })
  expect(row.status).toBe('delivered')
  const waits = askedAt.slice(1).map((at, i) => at - (askedAt[i] ?? 0))
  for (const [i, wait] of waits.entries()) {
    const scheduled = (defaultRetrySchedule[i] ?? 0) * 1_000
    expect(wait).toBeGreaterThanOrEqual(scheduled)
    expect(wait).toBeLessThan(scheduled + LATE_MS)
  }
})

test('a clock that is set back makes no request run into the rate limit', async () => {
  const { now } = Date
  let behindMs = 0
  jest.spyOn(Date, 'now').mockImplementation(() => now() - behindMs)
  const { call } = await testShop(db, { rateLimitPerSecond: 100 })
  expect((await call('POST', '/api/v1/payments', upi)).status).toBe(201)
  behindMs = HOURS_MS
  expect((await call('POST', '/api/v1/payments', upi)).status).toBe(201)
})

test('a clock that is set back does not prolong the 5 s without calls to Temporal', async () => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'setTimeout', 'clearTimeout'] })
  const start = jest.fn().mockRejectedValue(new Error('away'))
  const client = { withDeadline: (_: number, call: () => unknown) => call(), workflow: { start } }
  const tryStart = createStarter(client as unknown as Client, silent)
  const payment = { workflowType: 'processPayment', workflowId: 'pay_1' } as Start
  for (let i = 0; i < 4; i++) await tryStart(payment)
  expect(start).toHaveBeenCalledTimes(3)
  jest.setSystemTime(Date.now() - HOURS_MS)
  jest.advanceTimersByTime(5_001)
  await tryStart(payment)
  expect(start).toHaveBeenCalledTimes(4)
  jest.useRealTimers()
})
