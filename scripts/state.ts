import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { commandOf } from './processes.ts'

export const root = fileURLToPath(new URL('..', import.meta.url))

const folder = join(root, '.remit')
const lock = join(folder, 'start.pid')
const NEEDED_MB = 500
const LOCK_WAIT_MS = 5_000

/** A file of `.remit/`, which holds all that `npm start` keeps between runs. */
export function statePath(name: string): string {
  return join(folder, name)
}

export function openState(): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (statSync(folder).uid !== process.getuid?.())
    throw new Error(`${folder} belongs to another user. Start Remit as that user, or remove it.`)
  const { bavail, bsize } = statfsSync(folder)
  const freeMb = Math.floor((bavail * bsize) / 2 ** 20)
  if (freeMb < NEEDED_MB)
    throw new Error(`${freeMb} MB of disk are free, and Remit needs ${NEEDED_MB}. Make room first.`)
}

/** Made on the first start, and the same ever after. */
export function secret(name: string, prefix = ''): string {
  const file = statePath(name)
  if (!existsSync(file)) writeFileSync(file, prefix + randomBytes(32).toString('base64'), { mode: 0o600 })
  return readFileSync(file, 'utf8')
}

/**
 * One `npm start` per checkout. One that is stopping is waited for. Says whether an earlier one was
 * killed, so that what it started may still be on its way down.
 */
export async function takeLock(): Promise<boolean> {
  const deadline = Date.now() + LOCK_WAIT_MS
  for (;;) {
    const holder = existsSync(lock) ? Number(readFileSync(lock, 'utf8')) : undefined
    ...
  }
}
