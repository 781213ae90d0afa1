import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Client } from '@temporalio/client'
import { killAfter, type Running, whenExited } from '../tools/processes.ts'
import { createArrivals } from './load.ts'

const STOP_LIMIT_MS = 10_000

type ControlWorker = Running & {
  pid: number
  onArrival: (tell: (id: string) => void) => void
}

export async function startControlWorker(address: string): Promise<ControlWorker> {
  const child = fork(fileURLToPath(new URL('control-worker.ts', import.meta.url)), {
    execArgv: ['--import', 'tsx'],
    env: { ...process.env, TEMPORAL_ADDRESS: address, UV_THREADPOOL_SIZE: '64' },
    detached: true,
  })
  const exited = whenExited(child)
  await Promise.race([
    once(child, 'message'),
    exited.then((how) => Promise.reject(new Error(`The control's worker is not ready: ${how}`))),
  ])
  return {
    pid: child.pid ?? 0,
    exited,
    onArrival: (tell) => void child.on('message', (id) => tell(`${id}`)),
    stop() {
      child.kill('SIGTERM')
      return killAfter(child, exited, STOP_LIMIT_MS)
    },
  }
}

/**
 * Returns a function that pays without Remit: it starts a bare workflow, and waits until the
 * activity of the workflow's last child has run.
 */
export function controlPayer(client: Client, worker: ControlWorker) {
  const arrivals = createArrivals()
  worker.onArrival(arrivals.tell)
  let started = 0
  return async (): Promise<void> => {
    const workflowId = `control-${++started}`
    const arrived = arrivals.of(`${workflowId}-succeeded`)
    await client.workflow.start('barePayment', {
      workflowId,
      taskQueue: 'control-payments',
      args: [workflowId],
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
    })
    await arrived
  }
}
