import { proxyActivities } from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'

const { strandOrphans } = proxyActivities<Activities>({
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '1 minute',
  retry: { maximumAttempts: 3 },
})

/** Started by its schedule: what lost its workflow (terminated, say) is handed to the sweep. */
export async function reconcile(): Promise<{ payments: number; deliveries: number }> {
  return strandOrphans()
}
