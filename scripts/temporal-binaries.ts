import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, rename, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cached } from './cache.ts'
import { spawnGuarded, tail } from './processes.ts'

type Log = (line: string) => void

const CLI = '1.5.1' // the last one that `go install` can build
const TEST_SERVER = '1.38.0'
const DOWNLOADS = 'https://temporal.download'
const PROBE_MS = 5_000
const BUILD_LIMIT_MS = 20 * 60_000

/** The `temporal` command, from wherever it can be had. Later versions differ, so they won't do. */
export async function resolveTemporalCli(log: Log): Promise<string> {
  const named = fromEnvironment('TEMPORAL_CLI') ?? onPath()
  if (named) return named
  const folder = await cached(`temporal-cli-${CLI}`, async (folder) => {
    const name = "Temporal's CLI"
    if (await download({ name, kind: 'cli', version: `v${CLI}`, as: 'temporal', folder, log }))
      return
    if (!works('go', 'version')) throw nowhere(name, 'Go', 'TEMPORAL_CLI, or TEMPORAL_ADDRESS')
    log(`Building ${name} with Go. This takes about two minutes, once`)
    await goInstall(folder)
  })
  return join(folder, 'temporal')
}

/** Temporal's server for tests, whose clock skips over timers. */
export async function resolveTestServer(log: Log): Promise<string> {
  const named = fromEnvironment('TEMPORAL_TEST_SERVER')
  if (named) return named
  const as = 'temporal-test-server'
  const folder = await cached(`temporal-test-server-${TEST_SERVER}`, async (folder) => {
    const name = "Temporal's test server"
    if (await download({ name, kind: 'test-server', version: 'default', as, folder, log })) return
    if (!works('mvn', '-v')) throw nowhere(name, 'Java and Maven', 'TEMPORAL_TEST_SERVER')
    log(`Fetching ${name} with Maven`)
    await mavenFetch(folder, as)
  })
  return join(folder, as)
}

function fromEnvironment(variable: string): string | undefined {
  const path = process.env[variable]
  if (path && !existsSync(path))
    throw new Error(`${variable} is ${path}, and there is no such file.`)
  return path || undefined
}

function onPath(): string | undefined {
  const candidates = (process.env.PATH ?? '').split(delimiter).map((dir) => join(dir, 'temporal'))
  return candidates.find((file) => {
    const { stdout } = spawnSync(file, ['--version'], { encoding: 'utf8' })
    return stdout?.startsWith(`temporal version ${CLI} `)
  })
}

function works(tool: string, argument: string): boolean {
  return spawnSync(tool, [argument]).status === 0
}

function nowhere(name: string, tools: string, variables: string): Error {
  const message = `${name} can't be downloaded here, and there is no ${tools} to make it with`
  return new Error(`${message}. Install ${tools}, or set ${variables}.`)
}

type Download = {
  name: string
  kind: 'cli' | 'test-server'
  version: string
  as: string
  folder: string
  log: Log
}

/** The SDK's own download. Says whether it worked: there are other ways. */
async function download({ name, kind, version, as, folder, log }: Download): Promise<boolean> {
  if (!(await canDownload())) return false
  log(`Downloading ${name}`)
  const script = fileURLToPath(new URL('download.mjs', import.meta.url))
  const problem = await run([process.execPath, script, kind, version, folder], folder).then(
    () => '',
    (error) => error.message,
  )
  const file = (await readdir(folder)).find((name) => /^temporal-.*\d$/.test(name))
  if (file) await rename(join(folder, file), join(folder, as))
  else log(`That failed. ${problem}`)
  return file !== undefined
}

/** A firewall that drops packets would hold the SDK up, which has no limit of its own. */
async function canDownload(): Promise<boolean> {
  if (process.env.HTTPS_PROXY || process.env.https_proxy) return true // the SDK uses it, fetch doesn't
  const signal = AbortSignal.timeout(PROBE_MS)
  return fetch(DOWNLOADS, { method: 'HEAD', signal }).then(
    () => true,
    () => false,
  )
}

async function goInstall(folder: string): Promise<void> {
  const version = `-X github.com/temporalio/cli/temporalcli.Version=${CLI}`
  const target = `github.com/temporalio/cli/cmd/temporal@v${CLI}`
  const env = { GOBIN: folder, CGO_ENABLED: '0' }
  await run(['go', 'install', '-ldflags', `-s -w ${version}`, target], folder, env)
}

async function mavenFetch(folder: string, as: string): Promise<void> {
  const pom = join(folder, 'pom.xml')
  await writeFile(pom, testServerPom)
  const output = `-DoutputDirectory=${join(folder, 'jars')}`
  await run(['mvn', '-q', '-B', '-f', pom, 'dependency:copy-dependencies', output], folder)
  await writeFile(join(folder, as), testServerCommand, { mode: 0o755 })
}

async function run(command: string[], folder: string, env = {}): Promise<void> {
  const logFile = join(folder, 'build.log')
  const { exited, stop } = spawnGuarded(command, { logFile, env })
  const limit = setTimeout(stop, BUILD_LIMIT_MS)
  const how = await exited
  clearTimeout(limit)
  if (how !== 'exit code 0')
    throw new Error(`${command.slice(0, 2).join(' ')}: ${how}${tail(logFile)}`)
}

const testServerPom = `
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>remit</groupId>
  <artifactId>test-server</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId>
      <artifactId>temporal-test-server</artifactId>
      <version>${TEST_SERVER}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-nop</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
`.trimStart()

/** The SDK gives it 5 s to start, so it starts fast rather than run fast. */
const testServerCommand = `#!/bin/sh
exec "\${JAVA_HOME:+$JAVA_HOME/bin/}java" -XX:TieredStopAtLevel=1 -Xshare:auto \\
  -cp "$(dirname "$0")/jars/*" io.temporal.testserver.TestServer "$@"
`
