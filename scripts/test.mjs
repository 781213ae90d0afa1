import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { install } from './install.mjs'
import { run } from './run.mjs'

await install()
const folder = mkdtempSync(join(tmpdir(), 'remit-test-'))
const report = join(folder, 'results.json')
const args = ['--json', `--outputFile=${report}`, ...process.argv.slice(2)]
const exitCode = await run(['node_modules/jest/bin/jest.js', ...args])
const { passed, failed } = count()
rmSync(folder, { recursive: true })

// Printed here and not by a reporter: jest's global teardown runs after its reporters.
console.log(`${passed} passed, ${failed} failed`)
process.exit(exitCode || Math.sign(failed))

/** A file that could not run at all is one failure, and so is a run without any test. */
function count() {
  const results = read()
  const passed = results?.numPassedTests ?? 0
  const failed = results ? results.numFailedTests + results.numRuntimeErrorTestSuites : 0
  const isFailure = exitCode !== 0 || passed === 0
  return { passed, failed: isFailure ? Math.max(failed, 1) : failed }
}

function read() {
  try {
    return JSON.parse(readFileSync(report, 'utf8'))
  } catch {
    return undefined // jest ended before it could write
  }
}
