import { z } from '@hono/zod-openapi'
import type { Client } from '@temporalio/client'
import { AppError } from '../../core/errors.ts'
import { withinLimit } from '../../core/limit.ts'
import { countDeliveries } from '../../db/webhooks/deliveries.ts'
import { merchantWorkflowTypes } from '../../temporal/starts.ts'
import { type Deps, json, merchantRoute, newRouter } from '../http/router.ts'

const LIMIT_MS = 2_000

const Count = z.int().min(0)
const Workflows = z.object({ running: Count, failed: Count })

const JobsStatus = z
  .object({
    object: z.literal('jobs_status'),
    workflows: Workflows.extend({
      by_type: z.record(z.string(), Workflows).openapi({
        example: { processPayment: { running: 1, failed: 0 } },
      }),
    }),
    deliveries: z.object({ pending: Count, failed: Count }),
  })
  .openapi('JobsStatus')

const retrieve = merchantRoute({
  method: 'get',
  path: '/test/jobs/status',
  operationId: 'retrieveJobsStatus',
  description:
    'Counts your workflows that run and that have failed, and your webhook deliveries. Temporal counts the workflows: a second or two late, and only while it keeps the closed ones. The answer is 503 while Temporal does not answer.',
  responses: { 200: json(JobsStatus) },
})

export function jobsStatusRoutes({ db, temporal }: Deps) {
  return newRouter().openapi(retrieve, async (c) => {
    const { merchantId } = c.var.caller
    const [byType, deliveries] = await Promise.all([
      countWorkflows(temporal, merchantId),
      countDeliveries(db, merchantId),
    ])
    const sum = (status: keyof Workflows) =>
      Object.values(byType).reduce((total, counts) => total + counts[status], 0)
    const workflows = { running: sum('running'), failed: sum('failed'), by_type: byType }
    return c.json({ object: 'jobs_status' as const, workflows, deliveries }, 200)
  })
}

type Workflows = z.infer<typeof Workflows>

/** Sends a query for each type, because Temporal groups a count only by the status. */
async function countWorkflows(temporal: Client, merchantId: string) {
  const countType = async (type: string) => {
    const query = `MerchantId = '${merchantId}' AND WorkflowType = '${type}' GROUP BY ExecutionStatus`
    const { groups } = await temporal.workflow.count(query)
    const of = (status: string) =>
      groups.find(({ groupValues }) => groupValues.flat().includes(status))?.count ?? 0
    return [type, { running: of('Running'), failed: of('Failed') }] as const
  }
  try {
    const counting = temporal.withDeadline(Date.now() + LIMIT_MS, () =>
      Promise.all(merchantWorkflowTypes.map(countType)),
    )
    return Object.fromEntries(await withinLimit(LIMIT_MS, counting))
  } catch (cause) {
    const message = 'Temporal does not answer right now. Nothing was changed.'
    throw new AppError('unavailable', message, { cause, headers: { 'Retry-After': '5' } })
  }
}
