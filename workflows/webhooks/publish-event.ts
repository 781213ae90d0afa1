import { CancellationScope } from '@temporalio/workflow'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import { startDeliveries } from './start-deliveries.ts'

/** Starts the deliveries of an event that no lifecycle workflow emits. */
export async function publishEvent(deliveries: Delivery[]): Promise<void> {
  await CancellationScope.nonCancellable(() => startDeliveries(deliveries))
}
