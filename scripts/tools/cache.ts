import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

export const isRoot = process.getuid?.() === 0

/**
 * Returns the folder of files that are fetched or built once for all checkouts. Root's cache is not
 * in root's home, because Postgres can't read that home.
 */
export function cacheRoot(): string {
  if (process.env.REMIT_CACHE) return resolve(process.env.REMIT_CACHE)
  return isRoot ? '/var/cache/remit' : join(homedir(), '.cache', 'remit')
}

/** Makes a folder in the cache, and returns its path. */
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
 * Returns the path of `name` in the cache, and calls `build` if the path does not exist. `build`
 * fills a temporary folder, which is renamed into place when it is complete. So the first of two
 * runs at once wins, and a killed run leaves nothing that looks finished. The path has everything
 * in its name that can differ between machines.
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

/**
 * Lets every user read the path, whatever the umask, because root's Postgres runs as another user.
 */
function openToAll(path: string): void {
  execFileSync('chmod', ['-R', 'a+rX', path])
}
