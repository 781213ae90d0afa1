// `node download.mjs cli|test-server <version> <folder>`: downloads one of Temporal's servers by way
// of the SDK, which can only do so by starting it. A process of its own can be given a limit.
import { TestWorkflowEnvironment } from '@temporalio/testing'

const [kind, version, downloadDir] = process.argv.slice(2)
const server = { executable: { type: 'cached-download', version, downloadDir } }
const env =
  kind === 'cli'
    ? await TestWorkflowEnvironment.createLocal({ server })
    : await TestWorkflowEnvironment.createTimeSkipping({ server })
await env.teardown()
