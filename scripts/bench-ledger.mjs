import { join } from 'node:path'
import { install } from './install.mjs'
import { root, run } from './run.mjs'

await install()
const script = join(root, 'scripts', 'bench-ledger.ts')
process.exit(await run(['--import', 'tsx', script, ...process.argv.slice(2)], { detached: true }))
