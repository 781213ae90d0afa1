import { proxyActivities, startChild } from '@temporalio/workflow'
import type { ControlActivities } from './control-worker.ts'

const { charge, post } = proxyActivities<ControlActivities>({
  startToCloseTimeout: '30 seconds',
})

/**
 * Does only what a payment needs that is decided at once, without Remit: an activity and
 * deliveries.
 */
export async function barePayment(id: string): Promise<void> {
  const starting = startDelivery(`${id}-created`, false)
  await charge(id)
  await Promise.all([starting, startDelivery(`${id}-succeeded`, true)])
}

export async function bareDelivery(id: string, isLast: boolean): Promise<void> {
  await post(id, isLast)
}

async function startDelivery(workflowId: string, isLast: boolean): Promise<void> {
  await startChild(bareDelivery, {
    workflowId,
    taskQueue: 'control-webhooks',
    args: [workflowId, isLast],
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    parentClosePolicy: 'ABANDON',
    cancellationType: 'ABANDON',
  })
}
