import type { Activities } from '../../activities/index.ts'
import type { TestTemporal } from './temporal.ts'

/**
 * Workers that run from a file's first test to its last, as starting them takes longer than most
 * tests. To be called before whatever they need: hooks run in the order in which they were made, and
 * the workers have to end first.
 */
export function fileWorkers() {
  let stop = () => {}
  let running: Promise<void> | undefined
  afterAll(async () => {
    stop()
    await running
  })

  /** `current` says which activities they have at the moment. */
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
