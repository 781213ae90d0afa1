import { CancellationScope, proxyActivities } from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'
import type { InboundEventStatus } from '../core/invoice.ts'
import { activityOptions } from './lifecycle.ts'
import { startDeliveries } from './start-deliveries.ts'

const { applyInboundEvent: apply } = proxyActivities<Activities>(activityOptions)

/** Applies what somebody has told us, once, and tells of it. A Cancel from the UI is not heard. */
export async function applyInboundEvent(id: string): Promise<InboundEventStatus> {
  return CancellationScope.nonCancellable(async () => {
    const { status, deliveries } = await apply(id)
    await startDeliveries(deliveries)
    return status
  })
}
