import { type Client, ScheduleAlreadyRunning, type ScheduleOptions } from '@temporalio/client'
import type { Log } from '../log.ts'
import type { TaskQueue } from '../temporal/queues.ts'
import { searchAttributeNames } from '../temporal/search-attributes.ts'

const INDEXED_VALUE_TYPE_KEYWORD = 2 // temporal.api.enums.v1.IndexedValueType
const GRPC_ALREADY_EXISTS = 6
const GRPC_PERMISSION_DENIED = 7
const GRPC_UNIMPLEMENTED = 12

const schedules = [
  {
    id: 'sweep',
    every: '60 seconds',
    timeout: '15 minutes',
    summary: 'Start what no workflow has taken up',
  },
  {
    id: 'reconcile',
    every: '5 minutes',
    timeout: '35 minutes',
    summary: 'Find open rows whose workflow is gone',
  },
  {
    id: 'prune',
    every: '1 hour',
    timeout: '55 minutes',
    summary: 'Drop expired idempotency keys and old events',
  },
] as const

/**
 * Prepares a namespace: search attributes and schedules. Then sweeps once, so that rows that waited
 * while no worker was up start now. Every worker does this as it comes up, and finds most of it
 * done.
 */
export async function setUpNamespace(client: Client, namespace: string, log: Log): Promise<void> {
  await registerSearchAttributes(client, namespace, log)
  await ensureSchedules(client)
  await client.schedule.getHandle('sweep').trigger('SKIP')
}

export async function ensureSchedules(client: Client): Promise<void> {
  for (const schedule of schedules) await ensureSchedule(client, schedule)
}

async function registerSearchAttributes(
  client: Client,
  namespace: string,
  log: Log,
): Promise<void> {
  const { operatorService } = client.connection
  try {
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace })
    const missing = searchAttributeNames.filter((name) => !(name in customAttributes))
    if (missing.length === 0) return
    const searchAttributes = Object.fromEntries(
      missing.map((name) => [name, INDEXED_VALUE_TYPE_KEYWORD]),
    )
    await operatorService.addSearchAttributes({ namespace, searchAttributes })
  } catch (error) {
    const { code } = error as { code?: number }
    if (code === GRPC_ALREADY_EXISTS) return
    // Temporal Cloud refuses this call: there, an operator adds the search attributes by hand, as
    // docs/operating.md says.
    if (code !== GRPC_PERMISSION_DENIED && code !== GRPC_UNIMPLEMENTED) throw error
    const names = searchAttributeNames.join(', ')
    log.warn({}, `Can't look up search attributes here: make sure that ${names} are Keywords.`)
  }
}

type Schedule = (typeof schedules)[number]

/** Creates the schedule, or updates the one that exists. */
async function ensureSchedule(
  client: Client,
  { id, every, timeout, summary }: Schedule,
): Promise<void> {
  const action: ScheduleOptions['action'] = {
    type: 'startWorkflow',
    workflowType: id,
    workflowId: id,
    taskQueue: 'payments' satisfies TaskQueue,
    staticSummary: summary,
    workflowRunTimeout: timeout, // a run that is stuck would keep all later runs from starting
  }
  const rules = { spec: { intervals: [{ every }] }, policies: { overlap: 'SKIP' as const } }
  try {
    await client.schedule.create({ scheduleId: id, ...rules, action })
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error
    await client.schedule
      .getHandle(id)
      .update((previous) => ({ ...previous, ...rules, action: { ...previous.action, ...action } }))
  }
}
