import { setTimeout } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import { isNotNull } from 'drizzle-orm'
import { openDb } from '../../db/client.ts'
import { payments } from '../../db/payments/schema.ts'
import { deliveries } from '../../db/webhooks/schema.ts'

const DRAIN_LIMIT_MS = 240_000 // above the deliveries' time of a payment that was left to the sweep

/** Returns the rows to sweep and the workflows that are left after everything had time to end. */
export async function findLeftovers(databaseUrl: string, client: Client): Promise<string[]> {
  const db = openDb(databaseUrl, { statementTimeoutMs: 30_000 })
  const deadline = Date.now() + DRAIN_LIMIT_MS
  for (;;) {
    const left = {
      'payments to sweep': await db.$count(payments, isNotNull(payments.nextSweepAt)),
      'deliveries to sweep': await db.$count(deliveries, isNotNull(deliveries.nextSweepAt)),
      'open workflows': await openWorkflows(client),
    }
    const found = Object.entries(left).filter(([, count]) => count > 0)
    if (found.length === 0 || Date.now() > deadline) {
      await db.$client.end()
      return found.map(([what, count]) => `${count} ${what}`)
    }
    await setTimeout(500)
  }
}

async function openWorkflows(client: Client): Promise<number> {
  const types = `'barePayment', 'bareDelivery', 'processPayment', 'deliverWebhook'`
  const query = `WorkflowType IN (${types}) AND ExecutionStatus = 'Running'`
  return (await client.workflow.count(query)).count
}
