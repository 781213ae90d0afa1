import { fileURLToPath } from 'node:url'
import { testEndpoint } from '../support/endpoint.ts'
import { pause } from '../support/stack.ts'

const STAND_MAX_MS = 25_000 // an activity times out after 30 s: its order would go on unkilled
const LOOK_EVERY_MS = 100

/** An activity that stands still until its worker is killed. */
type Standing = { since: number; killed: () => void }

/**
 * Makes a worker's activities stop where `isToStop` says so. `isToStop` gets the moment, such as
 * `before refundOrder`, and the first argument of the activity.
 */
export function testStops(isToStop: (moment: string, id: string) => Promise<boolean>) {
  const control = testEndpoint()
  const standing: Standing[] = []
  const module = fileURLToPath(new URL('stops.mjs', import.meta.url))
  const stop = () =>
    new Promise<void>((killed) => standing.push({ since: performance.now(), killed }))

  control.answer = async ({ body }) => {
    const { moment, id } = JSON.parse(body)
    if (await isToStop(moment, id)) await stop()
    return { status: 200 }
  }

  return {
    env: () => ({ NODE_OPTIONS: `--import ${module}`, FAULT_STOPS: control.url }),
    /** Stands still without an activity, for a case that waits itself. Returns after the kill. */
    stop,
    /**
     * Calls `kill` when `count` cases stand still, or when the oldest cannot wait for the others.
     * Repeats until `count` cases were killed.
     */
    async untilAllStand(count: () => number, kill: () => Promise<void>): Promise<void> {
      for (let were = 0; were < count(); ) {
        const oldest = Math.min(...standing.map(({ since }) => since))
        const isLate = performance.now() - oldest > STAND_MAX_MS
        if (standing.length === 0 || (were + standing.length < count() && !isLate)) {
          await pause(LOOK_EVERY_MS)
          continue
        }
        await kill()
        const killed = standing.splice(0)
        were += killed.length
        for (const one of killed) one.killed()
      }
    },
  }
}
