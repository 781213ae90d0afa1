import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common'
import { startChild } from '@temporalio/workflow'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import { deliveryStart, type Start } from '../../temporal/starts.ts'

/** Resolves when each delivery has its workflow: the sweep, or an earlier run, may have been first. */
export async function startDeliveries(deliveries: Delivery[]): Promise<void> {
  await Promise.all(deliveries.map((delivery) => startAbandoned(deliveryStart(delivery))))
}

/** Abandoned, because it can take hours and its parent has nothing left to wait for. */
export async function startAbandoned({ workflowType, ...options }: Start): Promise<void> {
  try {
    await startChild(workflowType, {
      ...options,
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      parentClosePolicy: 'ABANDON',
      cancellationType: 'ABANDON',
    })
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
  }
}
