import { install } from './tools/install.mjs'
import { run } from './tools/run.mjs'

const checks = [
  ['node_modules/typescript/bin/tsc', '--noEmit'],
  ['node_modules/@biomejs/biome/bin/biome', 'check'],
  ['node_modules/jest/bin/jest.js', 'test/repo/tidy.test.ts'],
]

await install()
process.env.REMIT_NO_SERVERS = 'true' // makes test/support/global-setup.ts start no servers
process.on('SIGINT', () => process.exit(130)) // otherwise the next check would start
let failed = false
for (const check of checks) failed = (await run(check)) !== 0 || failed
process.exit(failed ? 1 : 0)
