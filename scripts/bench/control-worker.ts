import { fileURLToPath } from 'node:url'
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker'
import { createWorker } from '../../worker/worker.ts'

/** The control's worker is a separate process, and is set up like Remit's worker. */

const logger = new DefaultLogger('WARN')
const workflowsPath = fileURLToPath(new URL('control-workflows.ts', import.meta.url))

const activities = {
  async charge(_id: string): Promise<void> {},
  /** `post` only reports that the payment has come this far. */
  async post(id: string, isLast: boolean): Promise<void> {
    if (isLast) process.send?.(id)
  },
}
export type ControlActivities = typeof activities

Runtime.install({ logger })
const [connection, workflowBundle] = await Promise.all([
  NativeConnection.connect({ address: process.env.TEMPORAL_ADDRESS ?? '' }),
  bundleWorkflowCode({ workflowsPath, logger }),
])
const workers = await Promise.all(
  ['control-payments', 'control-webhooks'].map((taskQueue) =>
    createWorker({ connection, namespace: 'default', taskQueue, activities, workflowBundle }),
  ),
)
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
const running = Promise.all(workers.map((worker) => worker.run()))
process.send?.('ready')
await running
await connection.close()
if (process.connected) process.disconnect()
