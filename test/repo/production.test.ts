import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { sql } from 'drizzle-orm'
import { type Db, openDb } from '../../db/client.ts'
import { attempts, endpoints } from '../../db/webhooks/schema.ts'
import { startPostgres } from '../../scripts/tools/postgres.ts'
import { tryPort, whenExited } from '../../scripts/tools/processes.ts'
import { startDevServer } from '../../scripts/tools/temporal.ts'
import { imageEnv, serviceOf } from '../support/compose.ts'
import { addMerchant } from '../support/db.ts'
import { card } from '../support/http.ts'
import { until } from '../support/stack.ts'

/** This test runs the commands of docker-compose.yml with their settings, at other addresses. */
const running: ChildProcess[] = []
const endpoint = closedEndpoint()
let folder: string
let postgres: Awaited<ReturnType<typeof startPostgres>>
let temporal: Awaited<ReturnType<typeof startDevServer>>
let db: Db
let ports: { api: number; worker: number }

beforeAll(async () => {
  const { TEMPORAL_CLI: cli } = process.env
  assert(cli, 'set by test/support/global-setup.ts')
  folder = await mkdtemp(join(tmpdir(), 'remit-production-'))
  const logFile = join(folder, 'temporal.log')
  postgres = await startPostgres()
  temporal = await startDevServer({ cli, port: await tryPort(0), logFile })
  db = openDb(postgres.url, { statementTimeoutMs: 10_000 })
  ports = { api: await tryPort(0), worker: await tryPort(0) }
  await cp('deploy/make-secrets.sh', join(folder, 'make-secrets.sh'))
  await run(spawn('sh', [join(folder, 'make-secrets.sh')]))
  await writeFile(join(folder, 'secrets', 'database_url'), `${postgres.url}\n`)
})
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL')
  await db.$client.end()
  await Promise.all([temporal.stop(), postgres.stop()])
  await rm(folder, { recursive: true })
})

type Ours = 'api' | 'worker' | 'migrate'

/** Returns a container's environment: the image's and the service's, but only `PATH` of ours. */
function envOf(name: Ours): NodeJS.ProcessEnv {
  const { PATH } = process.env
  const { environment = {} } = serviceOf(name)
  const given = Object.entries(environment).map(([variable, value]) => [
    variable,
    place(`${value}`),
  ])
  const port = { api: { PORT: `${ports.api}` }, worker: { WORKER_HEALTH_PORT: `${ports.worker}` } }
  return {
    PATH,
    ...imageEnv(),
    ...Object.fromEntries(given),
    ...(name !== 'migrate' && port[name]),
    HOST: '127.0.0.1',
    WORKFLOW_BUNDLE: join(folder, 'build', 'workflows.js'),
  }
}

function place(value: string): string {
  if (value === 'temporal:7233') return temporal.address
  const [, byDefault] = /^\$\{\w+:-(.*)\}$/.exec(value) ?? []
  if (byDefault) return byDefault
  return value.replace('/run/secrets', join(folder, 'secrets'))
}

function start(name: Ours): ChildProcess & { output: Promise<string> } {
  const [program = '', ...args] = serviceOf(name).command ?? []
  assert(program === 'node')
  const child = spawn(process.execPath, args, {
    env: envOf(name),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  const output = Promise.all([text(child.stdout), text(child.stderr)]).then(([a, b]) => a + b)
  return Object.assign(child, { output })
}

async function run(child: ChildProcess): Promise<void> {
  expect(await whenExited(child)).toBe('exit code 0')
}

/** Runs the container's health check against our ports. Returns how the check exited. */
function healthOf(name: 'api' | 'worker'): Promise<string> {
  const [, , ...args] = serviceOf(name).healthcheck?.test ?? []
  const here = args.map((arg) => arg.replace('8000', `${ports[name]}`))
  return whenExited(spawn(process.execPath, here, { env: envOf(name), stdio: 'ignore' }))
}

async function residentMb(child: ChildProcess): Promise<number> {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
  return Number(status.match(/^VmRSS:\s+(\d+)/m)?.[1]) / 1024
}

/** Counts the connections to an endpoint that nothing should connect to. */
function closedEndpoint() {
  const endpoint = { url: '', connections: 0 }
  const server = createServer((socket) => {
    endpoint.connections++
    socket.destroy()
  })
  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    endpoint.url = `https://localhost:${(server.address() as AddressInfo).port}/hooks`
  })
  afterAll(() => {
    server.close()
  })
  return endpoint
}

function api(secret: string) {
  const auth = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' }
  // biome-ignore lint/suspicious/noExplicitAny: the test asserts on all that is read
  return async (path: string, body?: unknown): Promise<any> => {
    const sent = body ? { method: 'POST', body: JSON.stringify(body) } : {}
    const response = await fetch(`http://127.0.0.1:${ports.api}/api/v1${path}`, {
      headers: auth,
      ...sent,
    })
    return { status: response.status, ...((await response.json()) as object) }
  }
}

test('Remit as the containers run it settles payments, refuses private endpoints and stops', async () => {
  const bundling = spawn(
    process.execPath,
    ['--import', 'tsx', 'scripts/bundle-workflows.ts', join(folder, 'build', 'workflows.js')],
    { stdio: 'ignore' },
  )
  const migrating = start('migrate')
  await Promise.all([run(bundling), run(migrating)])
  const { secret } = await addMerchant(db)

  const [server, worker] = [start('api'), start('worker')]
  for (const name of ['api', 'worker'] as const)
    await until(async () => (await healthOf(name)) === 'exit code 0', `the ${name}`)
  const ask = api(secret)

  for (const url of ['http://shop.example/hooks', endpoint.url])
    expect(await ask('/webhook_endpoints', { url })).toMatchObject({ status: 400 })
  expect(await ask('/webhook_endpoints', { url: 'https://shop.example/hooks' })).toMatchObject({
    status: 'enabled',
  })
  await db.update(endpoints).set({ url: endpoint.url }) // a change of DNS has this effect
  const payment = { amount: 50_000, currency: 'INR', method: 'card', card }
  const { id } = await ask('/payments', payment)
  await until(async () => (await ask(`/payments/${id}`)).status === 'succeeded', 'the payment')

  const refused = /^Blocked: localhost does not resolve to public addresses only$/
  await until(async () => (await db.$count(attempts, sql`state = 'failed'`)) >= 2, 'the attempts')
  for (const row of await db.select().from(attempts))
    expect(row).toMatchObject({ httpStatus: null, error: expect.stringMatching(refused) })
  for (const { id } of (await ask('/webhook_deliveries')).data)
    expect(await ask(`/webhook_deliveries/${id}`)).toMatchObject({
      status: 'pending',
      attempts: [{ attempt: 1, state: 'failed', error: expect.stringMatching(refused) }],
    })
  expect(endpoint.connections).toBe(0)

  expect(await residentMb(server)).toBeLessThan(200)
  expect(await residentMb(worker)).toBeLessThan(400)
  for (const child of [server, worker]) child.kill('SIGTERM')
  await Promise.all([run(server), run(worker)])
  expect(await healthOf('worker')).toBe('exit code 1')
  for (const { output } of [server, worker]) expectLog(await output)
}, 180_000)

/** Asserts that each line is one JSON object, and that no line contains the card number. */
function expectLog(output: string): void {
  const lines = output.trimEnd().split('\n')
  expect(lines.length).toBeGreaterThan(1)
  for (const line of lines)
    expect(JSON.parse(line)).toMatchObject({ time: expect.any(String), msg: expect.any(String) })
  expect(output).not.toContain(card.number)
}
