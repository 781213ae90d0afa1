import assert from 'node:assert/strict'
import { TestWorkflowEnvironment } from '@temporalio/testing'
import { DefaultLogger, Runtime } from '@temporalio/worker'
import type { Activities } from '../../activities/index.ts'
import { devServerArgs } from '../../scripts/tools/temporal.ts'
import { taskQueues } from '../../temporal/queues.ts'
import { searchAttributeNames } from '../../temporal/search-attributes.ts'
import { createWorker } from '../../worker/worker.ts'
import { atRest } from './at-rest.ts'

const KEYWORD = 2 // temporal.api.enums.v1.IndexedValueType

Runtime.install({
  logger: new DefaultLogger('ERROR'),
  telemetryOptions: { logging: { filter: 'ERROR' } },
})

/** Starts a server that skips over timers while a test awaits a result. */
export function timeSkippingEnv() {
  const executable = executableAt(process.env.TEMPORAL_TEST_SERVER)
  return withEnv(async () => {
    const env: TestWorkflowEnvironment = await withPatience(() =>
      TestWorkflowEnvironment.createTimeSkipping({
        server: { executable },
        client: { interceptors: { workflow: [atRest(() => env.client)] } },
      }),
    )
    await env.connection.operatorService.addSearchAttributes({
      namespace: 'default',
      searchAttributes: Object.fromEntries(searchAttributeNames.map((name) => [name, KEYWORD])),
    })
    return env
  })
}

/** Starts the real server, on the real clock. */
export function devServerEnv() {
  const executable = executableAt(process.env.TEMPORAL_CLI)
  const server = { executable, extraArgs: devServerArgs }
  return withEnv(() => withPatience(() => TestWorkflowEnvironment.createLocal({ server })))
}

/** Retries: the SDK gives a server five seconds to start, and a busy machine may need more. */
async function withPatience<T>(start: () => Promise<T>, times = 8): Promise<T> {
  try {
    return await start()
  } catch (error) {
    if (times <= 1) throw error
    return withPatience(start, times - 1)
  }
}

function executableAt(path: string | undefined) {
  assert(path, 'set by test/support/global-setup.ts')
  return { type: 'existing-path' as const, path }
}

function withEnv(create: () => Promise<TestWorkflowEnvironment>) {
  let env: TestWorkflowEnvironment
  beforeAll(async () => {
    env = await create()
  })
  afterAll(() => env?.teardown())

  return {
    client: () => env.client,
    address: () => env.address,
    now: () => env.currentTimeMs(),
    sleep: (ms: number) => env.sleep(ms),
    /** Runs `use` beside one worker for each queue. The workers have only these activities. */
    async withActivities<T>(activities: Partial<Activities>, use: () => Promise<T>): Promise<T> {
      const codePath = process.env.REMIT_WORKFLOW_BUNDLE
      assert(codePath, 'set by test/support/global-setup.ts')
      const workers = await Promise.all(
        taskQueues.map((taskQueue) =>
          createWorker({
            connection: env.nativeConnection,
            namespace: env.namespace ?? 'default',
            taskQueue,
            activities,
            workflowBundle: { codePath },
            debugMode: true,
          }),
        ),
      )
      // The innermost worker ends first: the outer workers stop once the inner ones, and so `use`,
      // are done.
      return workers.reduce<() => Promise<T>>(
        (inner, worker) => () => worker.runUntil(inner),
        use,
      )()
    },
  }
}

export type TestTemporal = ReturnType<typeof withEnv>
