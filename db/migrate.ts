import { fileURLToPath } from 'node:url'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate } from 'drizzle-orm/node-postgres/migrator'
import { Client } from 'pg'

const migrationsFolder = fileURLToPath(new URL('migrations', import.meta.url))
const LOCK = 7_291_001 // an arbitrary number that must never change

/**
 * Brings the schema up to date. Two processes may do this at once: the second process waits for the
 * lock and finds the work done.
 */
export async function migrateDb(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const db = drizzle({ client })
    await db.execute(sql`select pg_advisory_lock(${LOCK})`)
    await migrate(db, { migrationsFolder })
  } finally {
    await client.end() // also releases the lock
  }
}
