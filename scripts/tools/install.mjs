import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { findDifference, hiddenLockfile } from './installed.mjs'
import { root } from './run.mjs'

const lock = join(root, '.remit', 'install.lock')
const ASK_AGAIN_MS = 500
const WAIT_LIMIT_MS = 5 * 60_000

/** Runs `npm ci` unless node_modules is right already. Ends the process if `npm ci` fails. */
export async function install() {
  try {
    refuseOldNode()
    if (!findDifference(root)) return
    await takeLock()
    const difference = findDifference(root) // another process may have installed in the meantime
    if (difference) npmCi(difference)
    rmSync(lock, { force: true })
  } catch (error) {
    const full = 'The disk is full. Make room for 1 GB, and run the same command again.'
    console.error(error.code === 'ENOSPC' ? full : error.message)
    process.exit(1)
  }
}

function refuseOldNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  throw new Error(`Remit needs Node 20.19 or later, and this is ${process.versions.node}.`)
}

function npmCi(difference) {
  console.log(`Installing packages with npm ci: ${difference} is not as in package-lock.json`)
  // npm ci may be killed before it removes this file, and an old file would look right.
  rmSync(join(root, hiddenLockfile), { force: true })
  const included = ['--include=dev', '--include=optional', '--include=peer'] // overrides `omit`
  const args = ['ci', ...included, '--no-audit', '--no-fund', '--loglevel=error']
  const path = process.env.npm_execpath
  const npm = path && basename(path) === 'npm-cli.js' ? [process.execPath, path] : ['npm']
  const [command, ...rest] = [...npm, ...args]
  const { status } = spawnSync(command, rest, { cwd: root, stdio: 'inherit' })
  const needs = 'npm ci needs the package registry, and 1 GB of disk.'
  if (status !== 0)
    throw new Error(`npm ci failed, as it says above. ${needs} Then run the same command again.`)
  const left = findDifference(root)
  if (left)
    console.error(
      `npm ci ended, but ${left} still differs from package-lock.json. Remit starts anyway, and the next start runs npm ci again.`,
    )
}

/**
 * Two installs at once would remove node_modules from under each other, so the second waits for the
 * first. A lock is removed if its process is gone. A lock that is held too long is removed too,
 * because another process may have got its process id.
 */
async function takeLock() {
  mkdirSync(join(root, '.remit'), { recursive: true, mode: 0o700 })
  const deadline = Date.now() + WAIT_LIMIT_MS
  for (let waiting = false; ; waiting = true) {
    try {
      return writeFileSync(lock, `${process.pid}`, { flag: 'wx' })
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (!waiting) console.log('Waiting for another npm ci in this checkout')
    await setTimeout(ASK_AGAIN_MS)
    if (Date.now() > deadline || !isAlive(Number(read(lock)))) rmSync(lock, { force: true })
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
