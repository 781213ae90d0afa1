import { WorkflowClient } from '@temporalio/client'
import { eq } from 'drizzle-orm'
import type { WebhookDeps } from '../../activities/webhooks/post-webhook.ts'
import { defaultRetrySchedule } from '../../core/webhooks/retry-schedule.ts'
import { takeUpDelivery } from '../../db/webhooks/attempts.ts'
import { attempts } from '../../db/webhooks/schema.ts'
import { dyingWorker } from '../support/dying.ts'
import { ended, signalsOf, testDelivering } from './delivering.ts'
import { testPost } from './delivery.ts'

const { db, temporal, endpoint, deliver } = testDelivering()
const worker = dyingWorker(() => db.url)
afterEach(() => jest.restoreAllMocks())

/**
 * A failed attempt runs five lines: it claims the delivery, inserts the attempt, posts, completes
 * the attempt and signals. A worker may die before the first line and after each line.
 */
const LINES_OF_ATTEMPT = 5
const points = {
  entered: { line: 1, when: 'before' },
  'taken up': { line: 1, when: 'after' },
  recorded: { line: 2, when: 'after' },
  sent: { line: 3, when: 'after' },
  completed: { line: 4, when: 'after' },
  signaled: { line: 5, when: 'after' },
} as const
type Point = keyof typeof points
const names = Object.keys(points) as Point[]

const scheduleMs = defaultRetrySchedule.map((seconds) => seconds * 1000)
const LONGEST_DELAY_MS = 20_000 // the most that a crash may add: the fifth retry comes after 16 s

const down = () => 503
const upAtSecond = (post: number) => (post === 1 ? 503 : 200)

type Case = { status: (post: number) => number; meanwhile?: (post: number) => unknown }

/** Delivers to a server with these answers, and checks the rules that hold in every case. */
async function deliverThrough({ status, meanwhile }: Case, deps: Partial<WebhookDeps>) {
  const askedAt: number[] = []
  endpoint.answer = async () => {
    askedAt.push(await temporal.now())
    meanwhile?.(askedAt.length)
    return { status: status(askedAt.length) }
  }
  const {
    attempts: made,
    row,
    outcome,
    id,
  } = await deliver({
    deps,
    use: async (handle) => ({ result: await ended(handle), signals: await signalsOf(handle) }),
  })
  const { result, signals } = outcome as { result: unknown; signals: { id: string }[] }

  const counted = made.filter(({ state }) => state !== 'interrupted')
  expect(counted.map(({ attempt }) => attempt)).toEqual(counted.map((_, i) => i + 1))
  expect(made.map(({ state }) => state)).not.toContain('sending')
  const failed = counted.filter(({ state }) => state === 'failed')
  expect([...new Set(signals.map((signal) => signal.id))]).toEqual(failed.map((one) => one.id))
  expect(row).toMatchObject({ id, nextAttemptAt: null, nextSweepAt: null })
  return { attempts: made, counted, row, result, askedAt, signals }
}

type Ran = Awaited<ReturnType<typeof deliverThrough>>

/** `posted` holds the rows of the attempts that reached the server, one row for each POST. */
function expectFullWaits(posted: Ran['attempts'], askedAt: number[]) {
  expect(posted).toHaveLength(askedAt.length)
  const waits = askedAt.slice(1).map((at, i) => at - (askedAt[i] ?? 0))
  for (const [i, wait] of waits.entries()) {
    const { state, attempt } = posted[i] as Ran['attempts'][number]
    const least = state === 'failed' ? (scheduleMs[attempt - 1] ?? 0) : 1_000
    expect(wait).toBeGreaterThanOrEqual(least)
    expect(wait).toBeLessThan(least + LONGEST_DELAY_MS)
  }
}

/**
 * A crash after the insert and before the POST leaves the row of an attempt that no server
 * received.
 */
function whatWasPosted({ attempts }: Ran, point: Point) {
  return point === 'recorded' ? attempts.filter(({ state }) => state !== 'interrupted') : attempts
}

/** Delivers with a worker that dies once, at this point of the nth attempt. */
async function crashAt(point: Point, nth: number, status: Case['status']): Promise<Ran> {
  const { line, when } = points[point]
  const { getHandle } = WorkflowClient.prototype
  const spy = jest.spyOn(WorkflowClient.prototype, 'getHandle')
  spy.mockImplementation(function (this: WorkflowClient, ...args) {
    const handle = getHandle.apply(this, args)
    return { ...handle, signal: worker.dying(handle.signal.bind(handle)) }
  } as typeof getHandle)
  const post = Object.assign(worker.dying(testPost), { close: testPost.close })
  const deps = { db: worker.db(), post }
  let ran: Promise<Ran> | undefined
  const died = await worker.dieAt((nth - 1) * LINES_OF_ATTEMPT + line, when, () => {
    ran = deliverThrough({ status }, deps)
    return ran
  })
  expect(died).toBe(true)
  return (await ran) as Ran // `dieAt` hides the assertions that failed
}

const everyPoint = names.flatMap((point) =>
  ['first', 'second', 'last'].map((which, i) => ({ point, which, nth: [1, 2, 5][i] ?? 0 })),
)

describe('A crash during a delivery that fails costs the merchant no attempt and no wait', () => {
  test.each(everyPoint)(
    'the merchant loses no attempt and no wait if a crash comes at "$point" of the $which attempt',
    async ({ point, nth }) => {
      const ran = await crashAt(point, nth, down)
      expectFullWaits(whatWasPosted(ran, point), ran.askedAt)
      expect(ran.counted).toHaveLength(5)
      expect(ran.askedAt).toHaveLength(point === 'sent' ? 6 : 5)
      const interrupted = ran.attempts.filter(({ state }) => state === 'interrupted')
      expect(interrupted.map(({ attempt }) => attempt)).toEqual(
        point === 'sent' || point === 'recorded' ? [nth] : [],
      )
      expect(ran.signals).toHaveLength(point === 'signaled' ? 6 : 5)
      expect(ran.row.status).toBe('failed')
      expect(ran.result).toMatchObject({ cause: { cause: { type: 'WebhookAttemptFailed' } } })
    },
  )
})

describe('A crash during the attempt that succeeds', () => {
  test.each(names.slice(0, -1))(
    'a crash at "%s" of the successful attempt repeats only a POST whose answer was lost',
    async (point) => {
      const ran = await crashAt(point, 2, upAtSecond)
      expectFullWaits(whatWasPosted(ran, point), ran.askedAt)
      // Remit sends a webhook again only if its answer was lost. The promise is delivery at least
      // once.
      expect(ran.askedAt).toHaveLength(point === 'sent' ? 3 : 2)
      expect(ran.counted.map(({ state }) => state)).toEqual(['failed', 'succeeded'])
      expect(ran.row.status).toBe('delivered')
      expect(ran.result).toMatchObject({ status: 'delivered' })
    },
  )
})

describe('A lost signal is sent again, and the schedule stays as it was', () => {
  test.each([1, 2, 5])('a lost signal of attempt %i does not move the schedule', async (nth) => {
    const signal = jest.fn().mockRejectedValue(new Error('Temporal is away'))
    const getHandle = jest.spyOn(WorkflowClient.prototype, 'getHandle')
    const lose = () => getHandle.mockReturnValueOnce({ signal } as never)
    const meanwhile = (post: number) => post === nth && lose()
    const ran = await deliverThrough({ status: down, meanwhile }, {})
    expect(signal).toHaveBeenCalledTimes(1)
    expectFullWaits(ran.attempts, ran.askedAt)
    expect(ran.askedAt).toHaveLength(5)
    expect(ran.row.status).toBe('failed')
  })
})

test('a late answer from a worker that was thought dead changes nothing', async () => {
  let late = true
  const post: WebhookDeps['post'] = Object.assign(
    async (...args: Parameters<WebhookDeps['post']>) => {
      const answer = await testPost(...args)
      const isSending = eq(attempts.state, 'sending')
      const [sending] = late ? await db.select().from(attempts).where(isSending) : []
      late = false
      if (sending) await takeUpDelivery(db, sending.deliveryId, sending.runId) // another worker
      return answer
    },
    { close: testPost.close },
  )
  const ran = await deliverThrough({ status: upAtSecond }, { post })
  expect(ran.attempts.map(({ state, attempt }) => [state, attempt])).toEqual([
    ['interrupted', 1],
    ['succeeded', 1],
  ])
  expect(ran.row.status).toBe('delivered')
})
