import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../scripts/tools/postgres.ts'
import { resolveTemporalCli, resolveTestServer } from '../../scripts/tools/temporal-binaries.ts'
import { bundleWorkflows } from '../../worker/worker.ts'

declare global {
  var endTestRun: (() => Promise<void>) | undefined
}

/**
 * Prepares what all test files share, and hands it to them in the environment: one Postgres, unless
 * DATABASE_URL names one, the paths of Temporal's two servers, and the workflows. Bundling the
 * workflows takes seconds.
 */
export default async function beginTestRun(): Promise<void> {
  if (process.env.REMIT_NO_SERVERS) return
  process.env.TEMPORAL_CLI = await resolveTemporalCli(console.log)
  process.env.TEMPORAL_TEST_SERVER = await resolveTestServer(console.log)
  const { code } = await bundleWorkflows()
  const folder = await mkdtemp(join(tmpdir(), 'remit-workflows-'))
  process.env.REMIT_WORKFLOW_BUNDLE = join(folder, 'workflows.js')
  await writeFile(process.env.REMIT_WORKFLOW_BUNDLE, code)

  const postgres = process.env.DATABASE_URL ? undefined : await startPostgres()
  if (postgres) process.env.DATABASE_URL = postgres.url
  globalThis.endTestRun = async () => {
    await postgres?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}
