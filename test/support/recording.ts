import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { WorkflowHandle } from '@temporalio/client'
import { temporal as proto } from '@temporalio/proto'
import { createProviders } from '../../providers/index.ts'
import { state } from '../../workflows/index.ts'
import { addEndpoint } from '../webhooks/delivery.ts'
import { callAs, testApp } from './app.ts'
import { addMerchant, testDb } from './db.ts'
import { testEndpoint } from './endpoint.ts'
import { testActivities, until } from './stack.ts'
import { devServerEnv } from './temporal.ts'

export type Call = ReturnType<typeof callAs>

const folder = fileURLToPath(new URL('../histories/', import.meta.url))

/**
 * Adds a file's merchants, and saves the histories of their workflows for test/repo/replay.test.ts.
 */
export function testRecording() {
  const db = testDb()
  const temporal = devServerEnv()
  const endpoint = testEndpoint()

  function handleOf(id: string): WorkflowHandle {
    return temporal.client().workflow.getHandle(id)
  }

  async function save(id: string, name: string): Promise<void> {
    const history = await handleOf(id).fetchHistory()
    mkdirSync(folder, { recursive: true })
    const bytes = proto.api.history.v1.History.encode(history).finish()
    writeFileSync(`${folder}${name}.bin`, bytes)
  }

  const statusOf = (id: string) =>
    handleOf(id)
      .describe()
      .then(({ status }) => status.name)
      .catch(() => null)
  const eventsOf = async (id: string) => (await handleOf(id).fetchHistory()).events ?? []
  const closed = (id: string) => until(async () => !['RUNNING', null].includes(await statusOf(id)))
  const scheduled = (id: string, name: string) =>
    until(async () =>
      (await eventsOf(id)).some(
        (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === name,
      ),
    )

  const inStage = (id: string, stage: string) =>
    until(
      async () =>
        (
          await handleOf(id)
            .query(state)
            .catch(() => null)
        )?.stage === stage,
    )

  /** Runs `use` as a merchant whose endpoint wants every event. */
  async function record(delayMs: number, use: (call: Call) => Promise<void>): Promise<void> {
    const providers = createProviders({
      db,
      sandboxDelay: { minMs: delayMs, maxMs: delayMs },
      now: () => new Date(),
    })
    const merchant = await addMerchant(db)
    await addEndpoint(db, { merchantId: merchant.id, url: endpoint.url })
    await temporal.withActivities(testActivities(db, { providers }), async () => {
      const { app } = testApp(db, { temporal: temporal.client() })
      await use(callAs(app, merchant))
    })
  }

  const look = { handleOf, closed, scheduled, inStage }
  return { db, temporal, endpoint, record, save, ...look }
}
