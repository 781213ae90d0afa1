import { randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cacheRoot } from '../tools/cache.ts'
import { commandOf } from '../tools/processes.ts'

const folder = process.env.REMIT_STATE || fileURLToPath(new URL('../../.remit', import.meta.url))
const lock = join(folder, 'start.pid')
const command = fileURLToPath(new URL('../dev.ts', import.meta.url))
const NEEDED_MB = 500
const FULL_MB = 20
const LOCK_WAIT_MS = 5_000

/**
 * Returns the path of a file in `.remit/` (or REMIT_STATE), where `npm start` keeps lasting files.
 */
export function statePath(name: string): string {
  return join(folder, name)
}

export function openState(): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (statSync(folder).uid !== process.getuid?.())
    throw new Error(`${folder} belongs to another user. Run npm start as that user, or remove it.`)
  if (freeMb() < NEEDED_MB)
    throw new Error(`Only ${freeMb()} MB of disk are free. Make room for ${NEEDED_MB} MB first.`)
}

export function isDiskFull(): boolean {
  return freeMb() < FULL_MB
}

/** Root's Postgres keeps its data in the cache, which may be on another disk. */
function freeMb(): number {
  const places = [folder, cacheRoot()].filter(existsSync).map((place) => statfsSync(place))
  return Math.floor(Math.min(...places.map(({ bavail, bsize }) => bavail * bsize)) / 2 ** 20)
}

/** Makes the secret at the first start, and returns the same secret at every later start. */
export function keptSecret(name: string, prefix = ''): string {
  const kept = read(statePath(name))
  if (kept) return kept
  const made = prefix + randomBytes(32).toString('base64')
  writeFileSync(statePath(name), made, { mode: 0o600 })
  return made
}

/**
 * Holds a program's process id in `<name>.pid` for as long as the program runs, so that a person
 * can kill the program by a command that is always the same. A name given to `pkill` would also
 * match the programs of other checkouts, and an editor that has the program's file open.
 */
export function holdPidFile(name: string, program: { pid: number; exited: Promise<unknown> }) {
  if (!program.pid) return // the program could not be spawned, and `kill 0` would end the shell
  const file = statePath(`${name}.pid`)
  writeFileSync(file, `${program.pid}\n`, { mode: 0o600 })
  void program.exited.then(() => rmSync(file, { force: true }))
}

/**
 * Allows one `npm start` per checkout. A second `npm start` is refused, unless the first ends
 * within seconds, because the first may be stopping already. `wasKilled` says that an earlier
 * `npm start` was killed, so that its processes may still be ending.
 */
export async function takeLock(): Promise<{ wasKilled: boolean }> {
  const deadline = Date.now() + LOCK_WAIT_MS
  for (let wasKilled = false; ; ) {
    if (writeLock()) return { wasKilled }
    const holder = Number(read(lock))
    if (holder === process.pid || !commandOf(holder).includes(command)) {
      rmSync(lock, { force: true })
      wasKilled = true
    } else if (Date.now() > deadline) {
      const stop = `Stop it with Ctrl-C where it runs, or with: kill ${holder}`
      throw new Error(`Remit already runs in this checkout, as process ${holder}. ${stop}`)
    } else await setTimeout(100)
  }
}

function writeLock(): boolean {
  try {
    writeFileSync(lock, `${process.pid}`, { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

export function releaseLock(): void {
  if (Number(read(lock)) === process.pid) rmSync(lock)
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}
