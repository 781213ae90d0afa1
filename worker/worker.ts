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

/**
 * Longer than the 30 s limit of lifecycle and webhook activities: a worker that is told to stop
 * finishes a POST on its way.
 */
const SHUTDOWN_GRACE = '40 seconds'

type Options = {
  connection: NativeConnection
  namespace: string
  taskQueue: string // Remit's, or the bench's
  activities: object
  workflowBundle: NonNullable<WorkerOptions['workflowBundle']>
  debugMode?: boolean // workflows run in the main thread: a quick start, for tests and debuggers
}

/** Bundling takes a second or more, so a process bundles once for all its workers. */
export function bundleWorkflows(): Promise<{ code: string }> {
  const workflowsPath = fileURLToPath(new URL('../workflows/index.ts', import.meta.url))
  return bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('WARN') })
}

/** Bundles in a separate process, because this one would never give back the 100 MB of memory. */
export async function bundleWorkflowsApart(): Promise<{ code: string }> {
  const child = fork(fileURLToPath(new URL('bundle.ts', import.meta.url)))
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`The workflows could not be bundled: exit code ${code}`)
  })
  ended.catch(() => {}) // the child also exits after it has sent the bundle
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
