import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, rename, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cached } from './cache.ts'
import { spawnGuarded, tail } from './processes.ts'

type Log = (line: string) => void

type Recipe = {
  name: string
  key: string // the name in the cache
  file: string
  download: string[] // download.mjs's arguments
  tool: [string, string] // a command that works if `build` can work
  build: (folder: string) => Promise<void>
  building: string
  wayOut: string
}

const CLI = '1.5.1' // the last version that `go install` can build
const TEST_SERVER = '1.38.0'
const DOWNLOADS = 'https://temporal.download'
const PROBE_MS = 5_000
const DOWNLOAD_LIMIT_MS = 5 * 60_000
const BUILD_LIMIT_MS = 20 * 60_000

const cli: Recipe = {
  name: "Temporal's CLI",
  key: `temporal-cli-${CLI}`,
  file: 'temporal',
  download: ['cli', `v${CLI}`],
  tool: ['go', 'version'],
  build: goInstall,
  building: "Building Temporal's CLI with Go, which takes two minutes or more, once",
  wayOut: `Install Go, or set TEMPORAL_CLI to the path of a temporal ${CLI}, or, for npm start, set TEMPORAL_ADDRESS to a server.`,
}

const testServer: Recipe = {
  name: "Temporal's test server",
  key: `temporal-test-server-${TEST_SERVER}`,
  file: 'temporal-test-server',
  download: ['test-server', 'default'],
  tool: ['mvn', '-v'],
  build: mavenFetch,
  building: "Fetching Temporal's test server with Maven",
  wayOut: 'Install Java and Maven, or set TEMPORAL_TEST_SERVER to the path of such a server.',
}

/** Returns the `temporal` command. Later versions behave differently, so the PATH's may not do. */
export async function resolveTemporalCli(log: Log): Promise<string> {
  return fromEnvironment('TEMPORAL_CLI') ?? onPath() ?? fromCache(cli, log)
}

/** Returns the command of Temporal's test server, whose clock skips over timers. */
export async function resolveTestServer(log: Log): Promise<string> {
  return fromEnvironment('TEMPORAL_TEST_SERVER') ?? fromCache(testServer, log)
}

function fromEnvironment(variable: string): string | undefined {
  const path = process.env[variable]
  if (path && !existsSync(path)) throw new Error(`${variable} names ${path}, which is not there.`)
  return path || undefined
}

function onPath(): string | undefined {
  const files = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'temporal'))
  return files.find((file) => {
    const { stdout } = spawnSync(file, ['--version'], { encoding: 'utf8' })
    return stdout?.startsWith(`temporal version ${CLI} `)
  })
}

async function fromCache(recipe: Recipe, log: Log): Promise<string> {
  const folder = await cached(recipe.key, (folder) => make(recipe, folder, log))
  return join(folder, recipe.file)
}

/** Puts the recipe's file into `folder`. The SDK's download is faster than `build`, if it works. */
async function make(recipe: Recipe, folder: string, log: Log): Promise<void> {
  const { name, tool, wayOut } = recipe
  try {
    if (await download(recipe, folder, log)) return
    const [command, argument] = tool
    if (spawnSync(command, [argument]).status !== 0)
      throw new Error(`It can't be downloaded here, and there is no ${command} to get it with.`)
    log(recipe.building)
    await recipe.build(folder)
  } catch (error) {
    const reason = error instanceof Error ? error.message : error
    throw new Error(`${name} can't be had. ${reason}\n${wayOut}`)
  }
}

async function download(recipe: Recipe, folder: string, log: Log): Promise<boolean> {
  if (!(await canDownload())) return false
  log(`Downloading ${recipe.name}`)
  const script = fileURLToPath(new URL('download.mjs', import.meta.url))
  const command = [process.execPath, script, ...recipe.download, folder]
  await run(command, folder, DOWNLOAD_LIMIT_MS).catch((error) => log(`${error.message}`))
  const file = (await readdir(folder)).find((name) => /^temporal-.*\d$/.test(name))
  if (file) await rename(join(folder, file), join(folder, recipe.file))
  return file !== undefined
}

/** A firewall that drops packets would hold up the SDK, which has no time limit. */
async function canDownload(): Promise<boolean> {
  if (process.env.HTTPS_PROXY || process.env.https_proxy) return true // `fetch` ignores proxies
  const signal = AbortSignal.timeout(PROBE_MS)
  return fetch(DOWNLOADS, { method: 'HEAD', signal }).then(
    () => true,
    () => false,
  )
}

async function goInstall(folder: string): Promise<void> {
  const version = `-X github.com/temporalio/cli/temporalcli.Version=${CLI}`
  const source = `github.com/temporalio/cli/cmd/temporal@v${CLI}`
  const command = ['go', 'install', '-ldflags', `-s -w ${version}`, source]
  await run(command, folder, BUILD_LIMIT_MS, { GOBIN: folder, CGO_ENABLED: '0' })
}

async function mavenFetch(folder: string): Promise<void> {
  const pom = join(folder, 'pom.xml')
  await writeFile(pom, testServerPom)
  const output = `-DoutputDirectory=${join(folder, 'jars')}`
  const command = ['mvn', '-q', '-B', '-f', pom, 'dependency:copy-dependencies', output]
  await run(command, folder, BUILD_LIMIT_MS)
  await writeFile(join(folder, testServer.file), testServerCommand, { mode: 0o755 })
}

async function run(command: string[], folder: string, limitMs: number, env = {}): Promise<void> {
  const logFile = join(folder, 'build.log')
  const { exited, stop } = spawnGuarded(command, { logFile, env })
  const limit = setTimeout(stop, limitMs)
  const how = await exited
  clearTimeout(limit)
  if (how !== 'exit code 0') throw new Error(`${command[0]} failed (${how}).${tail(logFile)}`)
}

const dependency = (group: string, artifact: string, version: string) => `
    <dependency>
      <groupId>${group}</groupId>
      <artifactId>${artifact}</artifactId>
      <version>${version}</version>
    </dependency>`

/** `slf4j-nop` keeps the test server from complaining, at each start, that it has no logger. */
const testServerPom = `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>remit</groupId>
  <artifactId>test-server</artifactId>
  <version>1</version>
  <dependencies>${dependency('io.temporal', 'temporal-test-server', TEST_SERVER)}${dependency('org.slf4j', 'slf4j-nop', '1.7.36')}
  </dependencies>
</project>
`

/** The SDK gives the server 5 s to start, so the options favor a fast start over a fast run. */
const testServerCommand = `#!/bin/sh
exec "\${JAVA_HOME:+$JAVA_HOME/bin/}java" -XX:TieredStopAtLevel=1 -Xshare:auto \\
  -cp "$(dirname "$0")/jars/*" io.temporal.testserver.TestServer "$@"
`
