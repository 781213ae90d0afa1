import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { temporal } from '@temporalio/proto'
import { Worker } from '@temporalio/worker'
import '../support/temporal.ts'

const folder = fileURLToPath(new URL('../histories/', import.meta.url))

/**
 * A workflow that is open while a release is deployed continues under the new code, so the recorded
 * histories must replay. docs/how/change-a-workflow.md says how to change a workflow.
 */
test.each(readdirSync(folder))('The history %s replays', async (file) => {
  const codePath = process.env.REMIT_WORKFLOW_BUNDLE
  assert(codePath, 'set by test/support/global-setup.ts')
  const history = temporal.api.history.v1.History.decode(readFileSync(`${folder}${file}`))
  await Worker.runReplayHistory({ workflowBundle: { codePath } }, history)
})
