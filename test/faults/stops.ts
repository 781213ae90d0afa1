import { fileURLToPath } from 'node:url'
import { testEndpoint } from '../support/endpoint.ts'
import { pause } from '../support/stack.ts'

const STAND_MAX_MS = 25_000 // an activity has 30 s: then its order would go on without a kill
const LOOK_EVERY_MS = 100

/** Stands still until the worker that it waits for is killed. */
type Standing = { since: number; killed: () => void }

/**
 * A worker whose activities stop where they are told to. `isToStop` gets the moment, such as `before
 * refundOrder`, and the first argument of the activity.
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
    /** As an activity does, for who waits without one. Returns when the worker was killed. */
    stop,
    /**
     * Calls `kill` once `count` of them stand still, or once one of them can't wait for the others,
     * until as many were killed.
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
