import { fileURLToPath } from 'node:url'
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker } from '@temporalio/worker'
import { createWorker } from '../../worker/worker.ts'
import { until } from '../support/stack.ts'
import { timeSkippingEnv } from '../support/temporal.ts'

// docs/how/change-a-workflow.md explains this example.

const temporal = timeSkippingEnv()
const taskQueue = 'reminders'

function bundle(version: string) {
  const path = new URL(`change-a-workflow/${version}.ts`, import.meta.url)
  const logger = new DefaultLogger('WARN')
  return bundleWorkflowCode({ workflowsPath: fileURLToPath(path), logger })
}

async function withWorker<T>(
  { version, activities }: { version: string; activities: object },
  use: () => Promise<T>,
): Promise<T> {
  const connection = await NativeConnection.connect({ address: temporal.address() })
  const worker = await createWorker({
    connection,
    namespace: 'default',
    taskQueue,
    activities,
    workflowBundle: await bundle(version),
    debugMode: true,
  })
  return worker.runUntil(use).finally(() => connection.close())
}

function startReminder(workflowId: string) {
  return temporal.client().workflow.start('remindPayer', { taskQueue, workflowId })
}

/** Records the history of a workflow of version 1 that is open when version 2 is released. */
function recordVersion1() {
  return withWorker({ version: 'version-1', activities: {} }, async () => {
    const handle = await startReminder('open-reminder')
    return until(async () => {
      const history = await handle.fetchHistory()
      return history.events?.some((event) => event.timerStartedEventAttributes) && history
    }, 'the timer of version 1')
  })
}

let history: Awaited<ReturnType<typeof recordVersion1>>
beforeAll(async () => {
  history = await recordVersion1()
})

const replay = async (version: string) =>
  Worker.runReplayHistory({ workflowBundle: await bundle(version) }, history)

test('a new step without patched() fails the replay of a workflow that the old version started', async () => {
  await expect(replay('version-2-without-patched')).rejects.toThrow(/Nondeterminism/)
})

test('a new step behind patched() passes the replay of a workflow that the old version started', async () => {
  await replay('version-2')
})

test('a workflow that the new version starts takes the step behind patched()', async () => {
  const recordReminder = jest.fn(async () => {})
  const version2 = { version: 'version-2', activities: { recordReminder } }
  const result = () => startReminder('new-reminder').then((handle) => handle.result())
  expect(await withWorker(version2, result)).toBe('reminded')
  expect(recordReminder).toHaveBeenCalledTimes(1)
})
