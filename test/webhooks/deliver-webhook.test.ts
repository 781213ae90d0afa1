import { testRetrySchedule } from '../../core/webhooks/retry-schedule.ts'
import { atSeconds, detailsOf, ended, signalsOf, testDelivering } from './delivering.ts'

const { endpoint, deliver, answerWith, recorded, untilFailed } = testDelivering()

const any = (prefix: string) => expect.stringMatching(`^${prefix}`)
const ms = expect.any(Number)
const busy = { status: 503 }
const times = (count: number, reply: { status: number }) => Array<typeof reply>(count).fill(reply)

function failedAttempt(message: RegExp) {
  const cause = { type: 'WebhookAttemptFailed', message: expect.stringMatching(message) }
  return { message: 'Workflow execution failed', cause: { cause } }
}

describe('The retry schedule', () => {
  test('the fifth failed attempt of the default schedule fails the delivery', async () => {
    const askedAt = answerWith(...times(5, busy))
    const { outcome, row, attempts } = await deliver()
    expect(askedAt).toEqual(atSeconds(0, 60, 360, 2160, 9360))
    expect(outcome).toMatchObject(failedAttempt(/^Attempt 5: HTTP 503 in \d+ ms$/))
    expect(row).toMatchObject({ status: 'failed', nextAttemptAt: null, nextSweepAt: null })
    expect(attempts.map(({ attempt, state, httpStatus }) => [attempt, state, httpStatus])).toEqual(
      [1, 2, 3, 4, 5].map((attempt) => [attempt, 'failed', 503]),
    )
  })

  test('the first success ends the retry schedule', async () => {
    const askedAt = answerWith(busy, { status: 500 }, { status: 204 })
    const { outcome, row, attempts } = await deliver()
    expect(askedAt).toEqual(atSeconds(0, 60, 360))
    const latencyMs = attempts[2]?.latencyMs
    expect(outcome).toEqual({ status: 'delivered', attempt: 3, httpStatus: 204, latencyMs })
    expect(row).toMatchObject({ status: 'delivered', nextAttemptAt: null, nextSweepAt: null })
    expect(attempts.map(({ state }) => state)).toEqual(['failed', 'failed', 'succeeded'])
  })

  test('an endpoint can have its own retry schedule', async () => {
    const askedAt = answerWith(...times(5, busy))
    const { row } = await deliver({ to: { retrySchedule: [7, 86_400] } })
    expect(askedAt).toEqual(atSeconds(0, 7, 86_407))
    expect(row?.status).toBe('failed')
  })

  test('an empty retry schedule makes one attempt', async () => {
    const askedAt = answerWith(busy)
    const { row } = await deliver({ to: { retrySchedule: [] } })
    expect(askedAt).toEqual(atSeconds(0))
    expect(row?.status).toBe('failed')
  })

  test('WEBHOOK_RETRY_INTERVALS_TEST makes five attempts five seconds apart', async () => {
    const askedAt = answerWith(...times(5, busy))
    const { row } = await deliver({ deps: { retrySchedule: testRetrySchedule } })
    expect(askedAt).toEqual(atSeconds(0, 5, 10, 15, 20))
    expect(row?.status).toBe('failed')
  })
})

describe('Retry-After', () => {
  test('Retry-After is honored only if it is longer than the schedule', async () => {
    const askedAt = answerWith(
      { status: 429, headers: { 'retry-after': '90' } },
      { status: 429, headers: { 'retry-after': '1' } },
      { status: 503, headers: { 'retry-after': 'soon' } },
    )
    await deliver()
    expect(askedAt).toEqual(atSeconds(0, 90, 390, 2190))
  })

  test('Retry-After is honored for at most a day', async () => {
    const askedAt = answerWith({ status: 503, headers: { 'retry-after': '31536000' } })
    await deliver()
    expect(askedAt).toEqual(atSeconds(0, 86_400))
  })

  test('Retry-After can be an HTTP date', async () => {
    const date = new Date(Date.now() + 600_000).toUTCString()
    const askedAt = answerWith({ status: 503, headers: { 'retry-after': date } })
    await deliver()
    expect(askedAt[1]).toBeGreaterThan(595)
    expect(askedAt[1]).toBeLessThanOrEqual(600)
  })
})

describe('A failed attempt', () => {
  test('a redirect is a failed attempt and is not followed', async () => {
    answerWith({ status: 308, headers: { location: `${endpoint.url}/elsewhere` } })
    const { attempts } = await deliver()
    expect(endpoint.requests.map(({ path }) => path)).toEqual(['/hooks', '/hooks'])
    expect(attempts[0]).toMatchObject({ state: 'failed', httpStatus: 308, retryInMs: 60_000 })
  })

  test('a refused connection is a failed attempt', async () => {
    const { outcome, row, attempts } = await deliver({
      to: { url: 'http://127.0.0.1:1/hooks', retrySchedule: [60] },
    })
    expect(outcome).toMatchObject(failedAttempt(/^Attempt 2: Connection refused in \d+ ms$/))
    expect(row?.status).toBe('failed')
    const silence = { httpStatus: null, responseHeaders: null, responseBody: null }
    const refused = { state: 'failed', error: 'Connection refused', ...silence }
    expect(attempts).toMatchObject([refused, refused])
  })

  test('each failed attempt is a signal in the history', async () => {
    answerWith(...times(2, busy))
    const { attempts } = await deliver({
      use: async (handle) => {
        await handle.result()
        const run = handle.firstExecutionRunId
        expect(await signalsOf(handle)).toEqual([
          { id: any('att_'), run, attempt: 1, httpStatus: 503, latencyMs: ms, retryInMs: 60_000 },
          { id: any('att_'), run, attempt: 2, httpStatus: 503, latencyMs: ms, retryInMs: 300_000 },
        ])
      },
    })
    expect(attempts).toHaveLength(3)
  })

  test('each failed attempt is a row of a table in the UI', async () => {
    answerWith(...times(4, busy))
    await deliver({
      use: async (handle) => {
        await handle.result()
        const run = handle.firstExecutionRunId.slice(0, 8)
        const details = await detailsOf(handle)
        expect(details).toMatch(/^\*\*Delivered\*\* at attempt 5: HTTP 200 in \d+ ms\.\n/)
        expect(details.match(/^\|.*/gm)?.map((line) => line.replace(/\d+ ms/, 'N ms'))).toEqual([
          '| Run | Attempt | HTTP | Latency | Next |',
          '| --- | --- | --- | --- | --- |',
          `| ${run} | 4 | 503 | N ms | in 2 h |`,
          `| ${run} | 3 | 503 | N ms | in 30 min |`,
          `| ${run} | 2 | 503 | N ms | in 5 min |`,
          `| ${run} | 1 | 503 | N ms | in 1 min |`,
        ])
      },
    })
  })

  test('the UI shows when the wait after a failed attempt ends', async () => {
    answerWith(busy)
    await deliver({
      use: async (handle, { id }) => {
        await untilFailed(handle)
        const { row } = await recorded(id)
        const due = row.nextAttemptAt?.toISOString().slice(0, 16).replace('T', ' ')
        const details = await detailsOf(handle)
        expect(details).toMatch(/^\*\*Waiting\*\* after attempt 1 failed\. Attempt 2 at /)
        expect(details).toContain(due)
        await handle.result()
      },
    })
  })

  test('the UI shows after the last failed attempt that nothing more will be sent', async () => {
    answerWith(busy)
    await deliver({
      to: { retrySchedule: [] },
      use: async (handle) => {
        await ended(handle)
        expect(await signalsOf(handle)).toMatchObject([{ attempt: 1, retryInMs: null }])
        const details = await detailsOf(handle)
        expect(details).toMatch(/^\*\*Failed\*\* after attempt 1\. Nothing more will be sent/)
        expect(details).toMatch(/\| 1 \| 503 \| \d+ ms \| none \|$/)
      },
    })
  })
})
