/** The task queues. A worker serves one or both: webhooks can't hold up payments. */
export const taskQueues = ['payments', 'webhooks'] as const
export type TaskQueue = (typeof taskQueues)[number]
