import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

export const isRoot = process.getuid?.() === 0

/** What is fetched or built once for all checkouts. Not in root's home, which Postgres can't read. */
export function cacheRoot(): string {
  if (process.env.REMIT_CACHE) return resolve(process.env.REMIT_CACHE)
  return isRoot ? '/var/cache/remit' : join(homedir(), '.cache', 'remit')
}

/** Makes this folder of the cache. */
export async function cacheFolder(...names: string[]): Promise<string> {
  const folder = join(cacheRoot(), ...names)
  try {
    const made = await mkdir(folder, { recursive: true })
    if (made) openToAll(made)
  } catch (error) {
    throw new Error(`Can't write to ${folder}. Set REMIT_CACHE to a folder that can be written.`, {
      cause: error,
    })
  }
  return folder
}

/**
 * The path of `name` in the cache, which `build` fills if it isn't there. It gets a folder of its
 * own, renamed into place when it is complete: of two runs at once the first wins, and a run that
 * was killed leaves nothing that looks finished. What can differ between machines is in the name.
 */
export async function cached(
  name: string,
  build: (folder: string) => Promise<void>,
): Promise<string> {
  const unique = `${name}-${process.platform}-${process.arch}`
  const path = join(cacheRoot(), unique)
  if (existsSync(path)) return path
  const building = await mkdtemp(join(await cacheFolder(), `${unique}.`))
  try {
    await build(building)
    openToAll(building)
    await rename(building, path)
  } catch (error) {
    if (!existsSync(path)) throw error
  } finally {
    await rm(building, { recursive: true, force: true })
  }
  return path
}

/** Whatever the umask: root's Postgres runs as another user. */
function openToAll(path: string): void {
  execFileSync('chmod', ['-R', 'a+rX', path])
}
