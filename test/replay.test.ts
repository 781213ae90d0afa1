import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { temporal } from '@temporalio/proto'
import { Worker } from '@temporalio/worker'
import './temporal.ts'

const folder = fileURLToPath(new URL('histories/', import.meta.url))

/**
 * Workflows that began under an earlier version go on under this one, so their histories must replay:
 * a change that breaks one needs `patched()`. New ones come from test/histories.record.ts. A file
 * stays for as long as a workflow of its version can be open.
 */
test.each(readdirSync(folder))('The history %s replays', async (file) => {
  const codePath = process.env.REMIT_WORKFLOW_BUNDLE
  assert(codePath, 'set by test/global-setup.ts')
  const history = temporal.api.history.v1.History.decode(readFileSync(`${folder}${file}`))
  await Worker.runReplayHistory({ workflowBundle: { codePath } }, history)
})
