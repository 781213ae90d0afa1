import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { root } from './run.mjs'

const installed = join(root, 'node_modules', '.remit-lock-hash')
const lock = join(root, '.remit', 'install.lock')
const WAIT_MS = 500

/** Runs `npm ci` unless node_modules holds what package-lock.json says. Ends the process if it can't. */
export async function install() {
  refuseOldNode()
  const wanted = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')))
  const hash = wanted.digest('hex')
  if (read(installed) === hash) return
  await takeLock()
  try {
    if (read(installed) !== hash) npmCi()
    writeFileSync(installed, hash)
  } finally {
    rmSync(lock, { force: true })
  }
}

function refuseOldNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  fail(`Remit needs Node 20.19 or later, and this is ${process.versions.node}.`)
}

function npmCi() {
  console.log('Installing packages with npm ci')
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']
  const path = process.env.npm_execpath
  const npm = path && basename(path) === 'npm-cli.js' ? [process.execPath, path] : ['npm']
  const [command, ...rest] = [...npm, ...args]
  const { status } = spawnSync(command, rest, { cwd: root, stdio: 'inherit' })
  if (status === 0) return
  rmSync(lock, { force: true })
  fail(
    'npm ci failed; its own message is above. It needs the package registry and about 1 GB of disk.',
    'Once that is mended, run the same command again.',
  )
}

/** Two at once would remove node_modules from under each other: the second waits for the first. */
async function takeLock() {
  mkdirSync(join(root, '.remit'), { recursive: true, mode: 0o700 })
  for (let waiting = false; ; waiting = true) {
    try {
      return writeFileSync(lock, String(process.pid), { flag: 'wx' })
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (!isAlive(Number(read(lock)))) rmSync(lock, { force: true })
    else if (!waiting) console.log('Waiting for another npm ci of this checkout')
    await setTimeout(WAIT_MS)
  }
}

function isAlive(pid) {
  try {
    return pid > 0 && process.kill(pid, 0)
  } catch {
    return false
  }
}

function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function fail(...lines) {
  console.error(lines.join('\n'))
  process.exit(1)
}
