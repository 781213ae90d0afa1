import { proxyActivities } from '@temporalio/workflow'
import type { Activities } from '../../activities/index.ts'

const { startStranded } = proxyActivities<Activities>({
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '15 seconds',
  retry: { maximumAttempts: 3 }, // the schedule runs again in a minute
})

const MAX_PAGES = 50

/** Starts workflows that never started. The schedule `sweep` and each new worker run this. */
export async function sweep(): Promise<{ found: number; started: number }> {
  const total = { found: 0, started: 0 }
  for (let page = 0; page < MAX_PAGES; page++) {
    const { found, started, more } = await startStranded()
    total.found += found
    total.started += started
    if (!more) break
  }
  return total
}
