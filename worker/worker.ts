import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import {
  bundleWorkflowCode,
  DefaultLogger,
  type NativeConnection,
  Worker,
  type WorkerOptions,
} from '@temporalio/worker'
import { failureInterceptor } from './failures.ts'

/** Above the longest activity: a worker that is told to stop finishes the POST that is on its way. */
const SHUTDOWN_GRACE = '40 seconds'

type Options = {
  connection: NativeConnection
  namespace: string
  taskQueue: string // Remit's, or the bench's
  activities: object
  workflowBundle: NonNullable<WorkerOptions['workflowBundle']>
  debugMode?: boolean // workflows run in the main thread: quick to start, and for tests and debuggers
}

/** Takes a second or more, so it is done once, for all the workers of a process. */
export function bundleWorkflows(): Promise<{ code: string }> {
  const workflowsPath = fileURLToPath(new URL('../workflows/index.ts', import.meta.url))
  return bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('WARN') })
}

/** The same in a process of its own: it takes 100 MB, which this one would never give back. */
export async function bundleWorkflowsApart(): Promise<{ code: string }> {
  const child = fork(fileURLToPath(new URL('bundle.ts', import.meta.url)))
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`The workflows could not be bundled: exit code ${code}`)
  })
  ended.catch(() => {}) // it ends after it has sent them, too
  const [code] = await Promise.race([once(child, 'message'), ended])
  return { code }
}

export function createWorker(options: Options): Promise<Worker> {
  return Worker.create({
    ...options,
    interceptors: { activity: [failureInterceptor] },
    shutdownGraceTime: SHUTDOWN_GRACE,
    workflowTaskPollerBehavior: { type: 'autoscaling' },
    activityTaskPollerBehavior: { type: 'autoscaling' },
  })
}
