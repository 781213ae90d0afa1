import { Context } from '@temporalio/activity'
import { type Client, isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client'
import { type LifecycleName, sweepOrder } from '../../core/lifecycles/index.ts'
import { RECONCILE_AFTER_MS } from '../../core/lifecycles/sweep.ts'
import type { Db } from '../../db/client.ts'
import type { LifecycleRow } from '../../db/lifecycle-tables.ts'
import {
  findTakenUp,
  type SweptKind,
  strand,
  sweptKinds,
  takeStranded,
} from '../../db/recovery/sweep.ts'
import type { Log } from '../../log.ts'
import { startAgain } from '../../temporal/start.ts'
import {
  commandUpdate,
  deliveryStart,
  type Start,
  starts,
  type Update,
} from '../../temporal/starts.ts'
import { sendUpdate } from '../../temporal/update.ts'
import type { Now } from '../now.ts'

const PAGE = 100
const GRPC_DEADLINE_EXCEEDED = 4
const GRPC_UNAVAILABLE = 14

type Swept = { found: number; started: number; more: boolean }

type Found = Record<SweptKind, number>

/** Builds the workflow start of a row that nobody else has started. */
const startOf: { [Name in LifecycleName]: (row: LifecycleRow<Name>, created: []) => Start } = starts

function startsOf<Name extends LifecycleName>(name: Name, rows: LifecycleRow<Name>[]): Start[] {
  return rows.map((row) => startOf[name](row, []))
}

type Deps = { db: Db; now: Now; log: Log }

export function sweepActivities({ db, now, log }: Deps) {
  return {
    /** Starts the workflows of one page of rows that no workflow has claimed in time. */
    async startStranded(): Promise<Swept> {
      const { client, cancellationSignal } = Context.current()
      const stranded = await takeStranded(db, await now(), PAGE)
      const due = [
        ...sweepOrder.flatMap((name) => startsOf(name, stranded[name])),
        ...stranded.deliveries.map(deliveryStart),
      ]
      const told = new Map(stranded.commands.map((command) => [command.resourceId, command]))
      let started = 0
      // Starts run one by one: after an outage, requests that arrive now reach the server first.
      for (const start of due) {
        if (told.has(start.workflowId)) continue
        if (cancellationSignal.aborted) break // the worker stops: the rows are due again later
        if (await startOrLeave(client, start, log)) started++
        Context.current().heartbeat()
      }
      // Commands are sent in parallel, because each of them waits for its workflow.
      const tell = async (start: Start) => {
        const command = told.get(start.workflowId)
        if (command) await sendOrLeave(client, start, commandUpdate(command), log)
      }
      await Promise.all(due.map(tell))
      const more = Object.values(stranded).some((page) => page.length >= PAGE)
      return { found: due.length, started, more }
    },

    /** Requeues open rows whose workflow is closed or gone. Returns their number for each kind. */
    async strandOrphans(): Promise<Found> {
      const { client, cancellationSignal } = Context.current()
      const found = Object.fromEntries(sweptKinds.map((kind) => [kind, 0])) as Found
      const before = new Date((await now()).getTime() - RECONCILE_AFTER_MS)
      for (const kind of sweptKinds) {
        let after = ''
        for (;;) {
          if (cancellationSignal.aborted) return found
          const ids = await findTakenUp(db, kind, { after, before, limit: PAGE })
          const orphans = await withoutRun(client, ids)
          await strand(db, kind, orphans, await now())
          found[kind] += orphans.length
          Context.current().heartbeat(found)
          if (ids.length < PAGE) break
          after = ids.at(-1) ?? ''
        }
      }
      return found
    },
  }
}

/** A workflow that cannot be started does not hold up the others: its row is due again later. */
async function startOrLeave(client: Client, start: Start, log: Log): Promise<boolean> {
  try {
    return await startAgain(client, start)
  } catch (error) {
    if (isAway(error)) throw error
    log.warn({ workflow_id: start.workflowId, err: error }, 'Could not be started')
    return false
  }
}

async function sendOrLeave(client: Client, start: Start, update: Update, log: Log) {
  try {
    await sendUpdate(client, start, update)
  } catch (error) {
    log.warn(
      { workflow_id: start.workflowId, command_id: update.id, err: error },
      'Could not be told',
    )
  }
}

/** Returns true if Temporal itself is in trouble, so that the next start would fail too. */
function isAway(error: unknown): boolean {
  const cause = isGrpcServiceError(error) ? error : (error as Error).cause
  const code = isGrpcServiceError(cause) ? cause.code : null
  return code === GRPC_UNAVAILABLE || code === GRPC_DEADLINE_EXCEEDED
}

/**
 * Returns the ids without a running workflow. One list request finds most of the running workflows;
 * any that it misses are described one by one, because lists lag behind.
 */
async function withoutRun(client: Client, ids: string[]): Promise<string[]> {
  if (ids.length === 0) return []
  const running = new Set<string>()
  const names = ids.map((id) => `'${id}'`).join(', ')
  const query = `WorkflowId IN (${names}) AND ExecutionStatus = 'Running'`
  for await (const { workflowId } of client.workflow.list({ query })) running.add(workflowId)

  const orphans: string[] = []
  for (const id of ids) if (!running.has(id) && !(await isRunning(client, id))) orphans.push(id)
  return orphans
}

async function isRunning(client: Client, workflowId: string): Promise<boolean> {
  try {
    const { status } = await client.workflow.getHandle(workflowId).describe()
    return status.name === 'RUNNING'
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false
    throw error
  }
}
