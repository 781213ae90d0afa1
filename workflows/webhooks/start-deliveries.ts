import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common'
import { startChild } from '@temporalio/workflow'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import { deliveryStart, type Start } from '../../temporal/starts.ts'

/** Resolves when each delivery has a workflow. The sweep or an earlier run may have started it. */
export async function startDeliveries(deliveries: Delivery[]): Promise<void> {
  await Promise.all(deliveries.map((delivery) => startAbandoned(deliveryStart(delivery))))
}

/**
 * Starts a child that outlives its parent: the child can take hours, and the parent has nothing
 * left to wait for.
 */
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
