import { CancellationScope } from '@temporalio/workflow'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import { startDeliveries } from './start-deliveries.ts'

/** Fans out an event that no lifecycle of its own committed. */
export async function publishEvent(deliveries: Delivery[]): Promise<void> {
  await CancellationScope.nonCancellable(() => startDeliveries(deliveries))
}
