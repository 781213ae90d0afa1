import type { Client } from '@temporalio/client'
import { sql } from 'drizzle-orm'
import { withinLimit } from '../../core/limit.ts'
import type { Db } from '../../db/client.ts'
import { newRouter } from '../http/router.ts'

const TEMPORAL_LIMIT_MS = 1_000

type Deps = { db: Db; temporal: Client; stopping?: AbortSignal }

/**
 * `/health` says that this process answers. `/ready` says that this process can take payments,
 * which needs Postgres. Without Temporal, payments wait until the sweep starts them.
 */
export function healthRoutes({ db, temporal, stopping }: Deps) {
  return newRouter()
    .get('/health', (c) => c.json({ status: 'ok' }))
    .get('/ready', async (c) => {
      if (stopping?.aborted) return c.json({ status: 'stopping' }, 503)
      const [postgres, temporalAnswers] = await Promise.all([
        succeeds(() => db.execute(sql`select 1`)),
        succeeds(() => withinLimit(TEMPORAL_LIMIT_MS, askTemporal(temporal))),
      ])
      const body = {
        status: postgres ? 'ok' : 'unavailable',
        postgres: postgres ? 'ok' : 'unavailable',
        temporal: temporalAnswers ? 'ok' : 'degraded',
      }
      return c.json(body, postgres ? 200 : 503)
    })
}

/**
 * Asks Temporal for data of its database, because it answers some requests without the database.
 */
function askTemporal({ workflowService, options: { namespace } }: Client): Promise<unknown> {
  return workflowService.describeNamespace({ namespace })
}

async function succeeds(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask()
    return true
  } catch {
    return false
  }
}
