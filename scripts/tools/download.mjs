// `node download.mjs cli|test-server <version> <folder>` downloads one of Temporal's servers with
// the SDK, which can download a server only by starting it. A separate process can have a time
// limit.
import { TestWorkflowEnvironment } from '@temporalio/testing'

const [kind, version, downloadDir] = process.argv.slice(2)
const server = { executable: { type: 'cached-download', version, downloadDir } }
const env =
  kind === 'cli'
    ? await TestWorkflowEnvironment.createLocal({ server })
    : await TestWorkflowEnvironment.createTimeSkipping({ server })
await env.teardown()
