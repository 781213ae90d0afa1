import type { WorkflowHandle } from '@temporalio/client'
import { openDb } from '../../db/client.ts'
import type { testDb } from './db.ts'

/** Opens the file's database over connections that record their queries. */
export function countedDb(db: ReturnType<typeof testDb>) {
  const counted = openDb(db.url, { statementTimeoutMs: 20_000 })
  const queries: string[] = []
  counted.$client.on('error', () => {}) // the database is dropped with force
  counted.$client.on('connect', (connection) => {
    const query = connection.query.bind(connection) as (...args: unknown[]) => unknown
    const noted = (...args: unknown[]) => {
      const [asked] = args as [string | { text: string }]
      queries.push(typeof asked === 'string' ? asked : asked.text)
      return query(...args)
    }
    connection.query = noted as typeof connection.query
  })
  afterAll(() => counted.$client.end())

  /** Returns how many queries run until `use` has its answer. */
  async function count(use: () => Promise<unknown>): Promise<number> {
    queries.length = 0
    await use()
    return queries.length
  }
  return { db: counted, count }
}

/** Returns how many events of each kind a workflow's history has, and how many events in all. */
export async function historyOf(handle: WorkflowHandle) {
  const { events } = await handle.fetchHistory()
  const count = (kind: string) =>
    events?.filter((event) => event[kind as keyof typeof event]).length ?? 0
  return {
    events: events?.length,
    workflowTasks: count('workflowTaskCompletedEventAttributes'),
    activities: count('activityTaskScheduledEventAttributes'),
    children: count('startChildWorkflowExecutionInitiatedEventAttributes'),
  }
}
