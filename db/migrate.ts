import { fileURLToPath } from 'node:url'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate } from 'drizzle-orm/node-postgres/migrator'
import { Client } from 'pg'

const migrationsFolder = fileURLToPath(new URL('migrations', import.meta.url))
const LOCK = 7_291_001 // any number, as long as it is always the same

/** Brings the schema up to date. Two at once are safe: the second waits, and finds it done. */
export async function migrateDb(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const db = drizzle({ client })
    await db.execute(sql`select pg_advisory_lock(${LOCK})`)
    await migrate(db, { migrationsFolder })
  } finally {
    await client.end() // which also lets go of the lock
  }
}
