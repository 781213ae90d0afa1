import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import type { Db } from '../../db/client.ts'
import type { testDb } from './db.ts'

export const COPIES = 3_000

type Query = { text: string; params: unknown[] }
type Plan = { 'Node Type': string; 'Index Name'?: string; Plans?: Plan[] }

/** Shows how Postgres would run the queries that are made through `watched`. */
export function testPlans(db: ReturnType<typeof testDb>) {
  let logged: Query[] = []
  const logger = { logQuery: (text: string, params: unknown[]) => logged.push({ text, params }) }
  const watched: Db = drizzle({ client: db.$client, casing: 'snake_case', logger })

  /**
   * Copies a merchant's row many times, past any trigger. Each copy is a second older than the
   * last.
   */
  async function copy(table: string, id: string, changes: string) {
    await db.transaction(async (tx) => {
      await tx.execute(sql`set local session_replication_role = replica`)
      await tx.execute(sql.raw(copying(table, id, changes)))
    })
  }

  /**
   * Returns the plans of the queries that `use` makes, as Postgres would run them if it had a
   * choice of indexes.
   */
  async function plansOf(use: () => Promise<unknown>, like: RegExp): Promise<Plan[][]> {
    logged = []
    await use()
    const queries = logged.filter(({ text }) => like.test(text))
    expect(queries.length).toBeGreaterThan(0)
    const client = await db.$client.connect()
    try {
      await client.query('set enable_seqscan = off')
      const plans: Plan[][] = []
      for (const { text, params } of queries) {
        // Statements are prepared, so Postgres may use a plan that does not look at the parameters.
        const plan = async (options: string, values?: unknown[]) => {
          const { rows } = await client.query(`explain (${options}, format json) ${text}`, values)
          return nodesOf(rows[0]['QUERY PLAN'][0].Plan)
        }
        plans.push([...(await plan('costs', params)), ...(await plan('generic_plan'))])
      }
      return plans
    } finally {
      client.release(true)
    }
  }

  return { watched, copy, plansOf }
}

function copying(table: string, id: string, changes: string): string {
  return `insert into ${table} select (jsonb_populate_record(row, jsonb_build_object(
        'id', row.id || n, 'created_at', row.created_at - n * interval '1 s', ${changes}))).*
      from ${table} row, generate_series(1, ${COPIES}) n where row.id = '${id}'`
}

function nodesOf(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]
}

/** Checks that no plan reads a whole table or sorts, and that each plan uses this index. */
export function expectIndex(plans: Plan[][], index: string) {
  for (const nodes of plans) {
    const types = nodes.map((node) => node['Node Type'])
    for (const slow of ['Seq Scan', 'Sort', 'Incremental Sort']) expect(types).not.toContain(slow)
    expect(nodes.map((node) => node['Index Name'])).toContain(index)
  }
}
