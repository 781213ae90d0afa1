import type { Activities } from '../../activities/index.ts'
import type { TestTemporal } from './temporal.ts'

/**
 * Runs workers from a file's first test to its last, because starting workers takes longer than
 * most tests. Call this function before anything that the workers need: hooks run in the order in
 * which they were made, and the workers have to end first.
 */
export function fileWorkers() {
  let stop = () => {}
  let running: Promise<void> | undefined
  afterAll(async () => {
    stop()
    await running
  })

  /** `current` returns the activities that the workers have at the moment. */
  function serve<Name extends keyof Activities>(
    temporal: TestTemporal,
    names: readonly Name[],
    current: () => Pick<Activities, Name>,
  ): void {
    const activities = Object.fromEntries(
      names.map((name) => [name, (...args: never[]) => callNow(current()[name], args)]),
    )
    const run = (ready: () => void) => {
      const stopped = new Promise<void>((resolve) => {
        stop = resolve
      })
      running = temporal.withActivities(activities, () => {
        ready()
        return stopped
      })
      return running
    }
    beforeAll(() => new Promise<void>((ready, fail) => run(ready).catch(fail)))
  }
  return { serve }
}

function callNow(activity: (...args: never[]) => unknown, args: never[]) {
  return activity(...args)
}
