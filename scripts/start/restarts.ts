import type { Running } from '../tools/processes.ts'
import type { Supervisor } from './supervisor.ts'

const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 10_000
const STEADY_MS = 60_000 // A process that ran this long has recovered from what ended it before.
const ENDS_LIMIT = 3
const ENDS_WINDOW_MS = 10_000
const tooOften = `It ended ${ENDS_LIMIT} times within ${ENDS_WINDOW_MS / 1000} s, so everything stops.`

type Startable = Running & { ready: Promise<unknown> }

/**
 * Starts a process, and starts it again each time that it ends. If the process ends too often,
 * everything stops. A process that ends before it was ever ready is not started again, because a
 * wrong setting or a taken port would only end it again.
 */
export function keepRunning<P extends Startable>(
  { keep, stop, isStopping }: Supervisor,
  name: string,
  startProcess: () => P,
): P {
  const nextWait = createRestartWaits()
  let hasBeenReady = false
  return startOnce()

  function startOnce(): P {
    const startedAt = performance.now()
    const child = keep(name, startProcess(), (ended) => startAgain(ended, startedAt))
    const setReady = () => {
      hasBeenReady = true
    }
    child.ready.then(setReady, () => {}) // The caller waits for `ready` itself, and gets the error.
    return child
  }

  function startAgain(ended: string, startedAt: number): void {
    if (!hasBeenReady) return void stop(1, ended)
    const waitMs = nextWait(startedAt, performance.now())
    if (waitMs === null) return void stop(1, `${ended} ${tooOften}`)
    console.log(`${ended} It starts again in ${waitMs / 1000} s.`)
    setTimeout(() => isStopping() || startOnce(), waitMs)
  }
}

/**
 * Returns a function to call each time a process ends by itself. The function returns how long to
 * wait before the next start, or null if the process ends too often to be started again. Times are
 * milliseconds of one clock that is never set, such as `performance.now()`.
 */
export function createRestartWaits() {
  let waitMs = 0
  let recentEnds: number[] = []

  return (startedAt: number, endedAt: number): number | null => {
    recentEnds = [...recentEnds, endedAt].filter((end) => endedAt - end < ENDS_WINDOW_MS)
    if (recentEnds.length >= ENDS_LIMIT) return null
    const isFirst = waitMs === 0 || endedAt - startedAt >= STEADY_MS
    waitMs = isFirst ? FIRST_WAIT_MS : Math.min(waitMs * 2, LONGEST_WAIT_MS)
    return waitMs
  }
}
