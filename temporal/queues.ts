/** Separate task queues keep webhooks from holding up payments. A worker serves one or both. */
export const taskQueues = ['payments', 'webhooks'] as const
export type TaskQueue = (typeof taskQueues)[number]
