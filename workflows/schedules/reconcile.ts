import { proxyActivities } from '@temporalio/workflow'
import type { Activities } from '../../activities/index.ts'

const { strandOrphans, readNews } = proxyActivities<Activities>({
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '1 minute',
  retry: { maximumAttempts: 3 },
})

type Found = Awaited<ReturnType<Activities['strandOrphans']>> & { news: number }

/**
 * Started by its schedule: what lost its workflow (terminated, say) is handed to the sweep, and what
 * its provider says something else of than we have recorded.
 */
export async function reconcile(): Promise<Found> {
  const [orphans, news] = await Promise.all([strandOrphans(), readNews()])
  return { ...orphans, news }
}
