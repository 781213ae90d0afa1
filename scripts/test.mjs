import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { install } from './tools/install.mjs'
import { run } from './tools/run.mjs'

const ALONE = '/test/(faults|recovery/outage|repo/start\\.test|invoices/apply-inbound)'

await install()
const folder = mkdtempSync(join(tmpdir(), 'remit-test-'))
const report = join(folder, 'results.json')
let isStopped = false
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    isStopped = true
  })

const total = { passed: 0, failed: 0 }
const failures = []
for (const args of runs()) {
  if (isStopped) break
  const { passed, failed } = await runJest(args)
  total.passed += passed
  total.failed += failed
}
rmSync(folder, { recursive: true })

// This script prints the failures, because jest's global teardown runs after jest's reporters.
for (const failure of failures) console.log(`FAILED ${failure}`)
console.log(`${total.passed} passed, ${total.failed} failed`)
process.exit(isStopped || total.failed > 0 ? 1 : 0)

/**
 * Returns the arguments of each run of jest. The tests in `ALONE` start all of Remit as processes
 * and keep every core busy by themselves, so the whole suite runs them one at a time, after all
 * others.
 */
function runs() {
  const given = process.argv.slice(2)
  if (given.length > 0) return [given]
  return [[`--testPathIgnorePatterns=${ALONE}`], ['--runInBand', `--testPathPatterns=${ALONE}`]]
}

async function runJest(args) {
  rmSync(report, { force: true })
  const jest = ['node_modules/jest/bin/jest.js', '--json', `--outputFile=${report}`]
  const exitCode = await run([...jest, ...args])
  return count(exitCode)
}

/** A file that could not run at all counts as one failure, like a run without any test. */
function count(exitCode) {
  const results = read()
  failures.push(...failuresOf(results))
  const passed = results?.numPassedTests ?? 0
  const failed = results ? results.numFailedTests + results.numRuntimeErrorTestSuites : 0
  const isFailure = exitCode !== 0 || passed === 0
  return { passed, failed: isFailure ? Math.max(failed, 1) : failed }
}

function failuresOf(results) {
  return (results?.testResults ?? []).flatMap(({ name, status, assertionResults }) => {
    const file = relative(process.cwd(), name)
    const failed = assertionResults.filter((test) => test.status === 'failed')
    if (status === 'failed' && failed.length === 0) return [`${file} could not run`]
    return failed.map(({ fullName }) => `${file}: ${fullName}`)
  })
}

function read() {
  try {
    return JSON.parse(readFileSync(report, 'utf8'))
  } catch {
    return undefined // jest ended before it could write
  }
}
