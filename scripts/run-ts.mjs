// `node run-ts.mjs <name> [arguments]` runs scripts/<name>.ts, which needs node_modules. A checkout
// may not have node_modules yet, so this file and its imports are plain JavaScript without
// packages.
import { join } from 'node:path'
import { install } from './tools/install.mjs'
import { root, run } from './tools/run.mjs'

const [name, ...args] = process.argv.slice(2)

await install()
const script = join(root, 'scripts', `${name}.ts`)
process.exit(await run(['--import', 'tsx', script, ...args], { detached: true }))
