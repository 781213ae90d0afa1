import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import {
  keptHome,
  postgresBinaries,
  postgresUser,
  throwawayHome,
  wayOut,
} from './postgres-files.ts'
import { commandOf, spawnGuarded, tryPort, type User, waitUntilReady } from './processes.ts'

const exec = promisify(execFile)

const durable = { listen_addresses: '127.0.0.1', max_connections: '200', timezone: 'UTC' }
const throwaway = { ...durable, fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }

type Options = {
  dataDir?: string // without this, the data is thrown away
  port?: number // without this, any free port
}

type Place = { bin: string; home: string; user: User | undefined }

/**
 * Starts the Postgres from npm. With a `dataDir`, the log is `<dataDir>.log`. Without a `dataDir`,
 * data and log are gone after Postgres has stopped.
 */
export async function startPostgres({ dataDir, port }: Options = {}) {
  const user = postgresUser()
  const bin = await postgresBinaries(user)
  const home = dataDir ? await keptHome(dataDir, user) : await throwawayHome(user)
  const place = { bin, home, user }
  await stopEarlier(place)
  if (!existsSync(join(home, 'data'))) await initialise(place)

  const logFile = dataDir ? `${dataDir}.log` : join(home, 'postgres.log')
  const settings = dataDir ? durable : throwaway
  const usedPort = port ?? (await tryPort(0))
  const running = spawnGuarded(command(place, usedPort, settings), {
    logFile,
    user,
    stopSignal: 'INT', // a fast shutdown, which does not wait for the clients to leave
    ...(dataDir ? {} : { removeAfter: home }),
  })
  const password = await readFile(join(home, 'password'), 'utf8')
  const url = urlOf(usedPort, password)
  await waitUntilReady({ name: 'Postgres', process: running, logFile }, () => askPostgres(url))
  return { ...running, url }
}

/** Returns the URL of the Postgres that `npm start` runs on this data, or null if none runs. */
export async function findPostgres(dataDir: string): Promise<string | null> {
  const pidFile = join(dataDir, 'data', 'postmaster.pid')
  const [pid, data = '', , port] = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n')
  if (!port || !commandOf(Number(pid)).includes(data)) return null
  return urlOf(port, await readFile(join(dataDir, 'password'), 'utf8'))
}

function urlOf(port: number | string, password: string): string {
  return `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
}

function command({ bin, home }: Place, port: number, settings: Record<string, string>) {
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return [join(bin, 'postgres'), '-D', join(home, 'data'), '-p', `${port}`, '-k', '', ...options]
}

/** Resolves if Postgres answers. */
export async function askPostgres(url: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {}) // the connection or the query fails too, and that is enough
  try {
    await client.connect()
    await client.query('select 1')
  } finally {
    await client.end()
  }
}

/**
 * Builds the data under another name, so data that a Ctrl-C cut short is not taken for a database.
 */
async function initialise({ bin, home, user }: Place): Promise<void> {
  const fresh = join(home, 'data.new')
  const password = join(home, 'password')
  await rm(fresh, { recursive: true, force: true })
  await writeFile(password, randomBytes(18).toString('base64url'), { mode: 0o600 })
  if (user) await chown(password, user.uid, user.gid)
  const auth = ['--username=postgres', `--pwfile=${password}`, '--auth=scram-sha-256']
  const args = ['-D', fresh, ...auth, '--encoding=UTF8', '--locale=C', '--no-sync']
  await exec(join(bin, 'initdb'), args, { ...user, cwd: '/' }).catch((error) => {
    throw new Error(`Postgres could not make its data: ${error.stderr || error.message}\n${wayOut}`)
  })
  await rename(fresh, join(home, 'data'))
}

/** A Postgres whose guard was killed still runs, and two must not write the same data. */
async function stopEarlier({ bin, home, user }: Place): Promise<void> {
  const data = join(home, 'data')
  const file = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')
  if (!file || !commandOf(Number.parseInt(file, 10)).includes(data)) return
  const args = ['stop', '-D', data, '-m', 'fast', '-w', '-t', '30']
  await exec(join(bin, 'pg_ctl'), args, { ...user, cwd: '/' })
}
