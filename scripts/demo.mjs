import { join } from 'node:path'
import { install } from './install.mjs'
import { root, run } from './run.mjs'

await install()
process.exit(await run(['--import', 'tsx', join(root, 'scripts', 'demo.ts')], { detached: true }))
