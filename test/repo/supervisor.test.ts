import type { EventEmitter } from 'node:events'
import { createRestartWaits, keepRunning } from '../../scripts/start/restarts.ts'
import { createSupervisor } from '../../scripts/start/supervisor.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect'] as const
const WINDOW_MS = 10_000
const signals: EventEmitter = process // The type of `process` accepts no union of events.
const listenersBefore = SIGNALS.flatMap((signal) => signals.listeners(signal))
let printed: string[]
let exitCodes: unknown[]

beforeEach(() => {
  jest.useFakeTimers()
  printed = []
  exitCodes = []
  const print = (line: string) => void printed.push(line)
  jest.spyOn(console, 'log').mockImplementation(print)
  jest.spyOn(console, 'error').mockImplementation(print)
  jest.spyOn(process, 'exit').mockImplementation((code) => exitCodes.push(code) as never)
})
afterEach(() => {
  jest.useRealTimers()
  jest.restoreAllMocks()
  for (const signal of SIGNALS)
    for (const listener of signals.listeners(signal))
      if (!listenersBefore.includes(listener)) signals.off(signal, listener as () => void)
})

/** Returns a process without a program. The process ends when a test ends it or stops it. */
function fakeProcess(ready: Promise<unknown> = Promise.resolve()) {
  let end = (_how: string) => {}
  const exited = new Promise<string>((resolve) => {
    end = resolve
  })
  return { ready, exited, end, stop: async () => end('exit code 0') }
}

/** Supervises a fake Postgres and a fake worker. `runs` holds each run of the worker. */
async function superviseFakes(workerReady?: Promise<unknown>) {
  const onStopped = () => void printed.push('stopped')
  const supervisor = createSupervisor({ stopOrder: ['worker', 'Postgres'], onStopped })
  const postgres = supervisor.keep('Postgres', fakeProcess())
  const runs: ReturnType<typeof fakeProcess>[] = []
  keepRunning(supervisor, 'worker', () => {
    const run = fakeProcess(workerReady)
    runs.push(run)
    return run
  })
  await settle()
  const endWorker = async (how: string) => {
    runs.at(-1)?.end(how)
    await settle()
  }
  return { postgres, runs, endWorker }
}

/** Lets every promise that is due run its callbacks, and every timer within `ms`. */
const settle = (ms = 0) => jest.advanceTimersByTimeAsync(ms)

test('a worker that was killed is started again after 0.5 s, with one line that says so', async () => {
  const { runs, endWorker } = await superviseFakes()
  await endWorker('SIGKILL')
  expect(printed).toEqual(['worker has ended by itself (SIGKILL). It starts again in 0.5 s.'])
  await settle(499)
  expect(runs).toHaveLength(1)
  await settle(1)
  expect(runs).toHaveLength(2)
  expect(printed).toHaveLength(1)
  expect(exitCodes).toEqual([])
})

test('the third end of a worker within 10 s stops everything with exit code 1 and the reason', async () => {
  const { runs, endWorker } = await superviseFakes()
  await endWorker('SIGKILL')
  await settle(500)
  await endWorker('exit code 7')
  await settle(1_000)
  await endWorker('exit code 7')
  await settle(WINDOW_MS)
  expect(printed).toEqual([
    'worker has ended by itself (SIGKILL). It starts again in 0.5 s.',
    'worker has ended by itself (exit code 7). It starts again in 1 s.',
    'worker has ended by itself (exit code 7). It ended 3 times within 10 s, so everything stops.',
    'Stopping Postgres',
    'stopped',
  ])
  expect([runs.length, exitCodes]).toEqual([3, [1]])
})

test.each(SIGNALS)(
  'the event "%s" during the wait for a restart stops the rest and starts nothing',
  async (signal) => {
    const { runs, endWorker } = await superviseFakes()
    await endWorker('SIGKILL')
    signals.emit(signal)
    await settle(WINDOW_MS)
    expect(printed.slice(1)).toEqual(['Stopping Postgres', 'stopped'])
    expect([runs.length, exitCodes]).toEqual([1, [0]])
  },
)

test('the event "SIGINT" after a restart stops the new worker, then Postgres', async () => {
  const { runs, endWorker } = await superviseFakes()
  await endWorker('SIGKILL')
  await settle(500)
  signals.emit('SIGINT')
  await settle(WINDOW_MS)
  expect(await runs[1]?.exited).toBe('exit code 0')
  expect(printed.slice(1)).toEqual(['Stopping worker', 'Stopping Postgres', 'stopped'])
  expect([runs.length, exitCodes]).toEqual([2, [0]])
})

test('a worker that ends before it was ever ready stops everything at once', async () => {
  const { runs, endWorker } = await superviseFakes(new Promise(() => {}))
  await endWorker('exit code 1')
  await settle(WINDOW_MS)
  expect(printed[0]).toBe('worker has ended by itself (exit code 1).')
  expect([runs.length, exitCodes]).toEqual([1, [1]])
})

test('a Postgres that ends by itself stops everything at once', async () => {
  const { postgres } = await superviseFakes()
  postgres.end('SIGKILL')
  await settle(WINDOW_MS)
  expect(printed[0]).toBe('Postgres has ended by itself (SIGKILL).')
  expect(exitCodes).toEqual([1])
})

/** Each row has the seconds of each run and of the wait after each run; null means no restart. */
test.each([
  ['doubles from 0.5 s to 10 s', [9, 9, 9, 9, 9, 9, 9], [0.5, 1, 2, 4, 8, 10, 10]],
  ['is 0.5 s again after a run of a minute', [9, 9, 9, 60, 9], [0.5, 1, 2, 0.5, 1]],
  ['never comes if three ends are less than 10 s apart', [30, 4, 4.4], [0.5, 1, null]],
  ['comes if three ends are 10 s apart', [30, 4, 4.5], [0.5, 1, 2]],
])('the wait before a restart %s', (_, runSeconds, waitSeconds) => {
  const nextWait = createRestartWaits()
  let nowMs = 0
  const waits = runSeconds.map((seconds) => {
    const startedAt = nowMs
    nowMs += seconds * 1000
    const waitMs = nextWait(startedAt, nowMs)
    nowMs += waitMs ?? 0
    return waitMs === null ? null : waitMs / 1000
  })
  expect(waits).toEqual(waitSeconds)
})
