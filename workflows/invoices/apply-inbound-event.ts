import { CancellationScope, proxyActivities, setCurrentDetails } from '@temporalio/workflow'
import type { Activities } from '../../activities/index.ts'
import type { InboundEventStatus } from '../../core/lifecycles/invoice.ts'
import { activityOptions, summarize } from '../shared/lifecycle.ts'
import { startDeliveries } from '../webhooks/start-deliveries.ts'

const { applyInboundEvent: apply } = proxyActivities<Activities>(activityOptions)

/**
 * Applies an inbound event once, and starts the deliveries of the emitted event. A Cancel in the
 * Web UI has no effect.
 */
export async function applyInboundEvent(id: string): Promise<InboundEventStatus> {
  return CancellationScope.nonCancellable(async () => {
    const summary = 'Apply the event to its invoice, once'
    const { status, deliveries } = await apply.executeWithOptions({ summary }, [id])
    await startDeliveries(deliveries)
    setCurrentDetails(summarize(`the event is ${status}`, deliveries))
    return status
  })
}
