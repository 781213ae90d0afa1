import { chmod, mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Db, openDb } from '../../db/client.ts'
import { migrateDb } from '../../db/migrate.ts'
import { startPostgres } from '../../scripts/tools/postgres.ts'
import { tryPort } from '../../scripts/tools/processes.ts'
import { testDb } from '../support/db.ts'

const STATEMENT_TIMEOUT_MS = 20_000

/** Gives a test file its own database in the Postgres that all test files share. */
export function sharedPostgres() {
  const db = testDb()
  return { db: () => db, url: () => db.url }
}

/** Gives a test file its own Postgres with its data on disk, so that a restart keeps the data. */
export function ownPostgres() {
  let folder: string
  let dataDir: string
  let port: number
  let server: Awaited<ReturnType<typeof startPostgres>>
  let db: Db

  async function start(): Promise<void> {
    server = await startPostgres({ dataDir, port })
  }

  /** Kills the main process alone. Its children end when they see that the main process is gone. */
  async function kill(): Promise<void> {
    const file = await readFile(join(dataDir, 'data', 'postmaster.pid'), 'utf8')
    process.kill(Number.parseInt(file, 10), 'SIGKILL')
    await server.exited
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'remit-postgres-'))
    await chmod(folder, 0o755) // root starts Postgres as another user
    dataDir = join(folder, 'home')
    port = await tryPort(0)
    await start()
    await migrateDb(server.url)
    db = openDb(server.url, { statementTimeoutMs: STATEMENT_TIMEOUT_MS })
    db.$client.removeAllListeners('error').on('error', () => {}) // the tests cause these errors
  })

  afterAll(async () => {
    await db?.$client.end()
    await server?.stop()
    // If root runs the tests, `dataDir` is a link into the cache.
    await rm(await realpath(dataDir), { recursive: true, force: true })
    await rm(folder, { recursive: true, force: true })
  })

  return { db: () => db, url: () => server.url, start, stop: () => server.stop(), kill }
}
