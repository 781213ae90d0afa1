import { proxyActivities } from '@temporalio/workflow'
import type { Activities } from '../../activities/index.ts'

const { strandOrphans, readNews } = proxyActivities<Activities>({
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '1 minute',
  retry: { maximumAttempts: 3 },
})

type Found = Awaited<ReturnType<Activities['strandOrphans']>> & { news: number }

/**
 * Requeues rows that lost their workflow (terminated, say), and rows whose provider reports a late
 * success or late failure. The schedule `reconcile` runs this workflow.
 */
export async function reconcile(): Promise<Found> {
  const [orphans, news] = await Promise.all([strandOrphans(), readNews()])
  return { ...orphans, news }
}
