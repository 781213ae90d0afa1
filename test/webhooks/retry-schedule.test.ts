import {
  defaultRetrySchedule,
  pollDelay,
  retryDelay,
  testRetrySchedule,
} from '../../core/webhooks/retry-schedule.ts'

const HOUR = 3_600_000

function waits(schedule: readonly number[]) {
  return Array.from({ length: 6 }, (_, i) => retryDelay(schedule, i + 1))
}

test('five attempts follow each other after a minute, 5 minutes, 30 minutes and 2 hours', () => {
  expect(waits(defaultRetrySchedule)).toEqual([60_000, 300_000, 1_800_000, 2 * HOUR, null, null])
})

test('the schedule for tests has five attempts, five seconds apart', () => {
  expect(waits(testRetrySchedule)).toEqual([5_000, 5_000, 5_000, 5_000, null, null])
})

test('an empty schedule allows one attempt', () => {
  expect(retryDelay([], 1)).toBeNull()
  expect(retryDelay([], 1, HOUR)).toBeNull()
})

test.each([
  ['more time than the schedule', 61_000, 61_000],
  ['less time than the schedule', 59_000, 60_000],
  ['no time', 0, 60_000],
  ['a day', 24 * HOUR, 24 * HOUR],
  ['more than a day', 24 * HOUR + 1, 24 * HOUR],
  ['as long as a number can be', Number.MAX_SAFE_INTEGER, 24 * HOUR],
])('the wait respects an endpoint that asks for %s, up to a day', (_, retryAfterMs, waitMs) => {
  expect(retryDelay(defaultRetrySchedule, 1, retryAfterMs)).toBe(waitMs)
})

test('Retry-After adds no attempt after the last one', () => {
  expect(retryDelay(defaultRetrySchedule, 5, HOUR)).toBeNull()
})

test('a provider is polled after 5 s, and after twice as long each time, up to an hour', () => {
  const seconds = Array.from({ length: 12 }, (_, i) => pollDelay(i + 1) / 1000)
  expect(seconds).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600])
  expect(pollDelay(10_000)).toBe(HOUR)
})
