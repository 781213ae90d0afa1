import { execFile, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { tryPort } from '../../scripts/tools/processes.ts'
import { until } from '../support/stack.ts'

const exec = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'remit-start-'))
const authorization = 'Bearer secret_test_xyz789'
let url: string
let env: NodeJS.ProcessEnv
let output: string
let stop = async (): Promise<number | null> => null

beforeAll(async () => {
  const [PORT, TEMPORAL_PORT, TEMPORAL_UI_PORT] = await Promise.all([0, 0, 0].map(tryPort))
  url = `http://localhost:${PORT}`
  const { DATABASE_URL: _, ...rest } = process.env // npm start runs its own Postgres
  const ports = Object.entries({ PORT, TEMPORAL_PORT, TEMPORAL_UI_PORT })
  const settings = Object.fromEntries(ports.map(([name, port]) => [name, `${port}`]))
  chmodSync(folder, 0o755) // root's Postgres runs as nobody, with its data in the cache
  const places = { REMIT_STATE: join(folder, 'state'), REMIT_CACHE: join(folder, 'cache') }
  env = { ...rest, ...settings, ...places, SANDBOX_DELAY_MS: '500-1000' }
})
afterEach(() => stop()) // A Remit that a failed test left would refuse the next start.
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs `npm start` until Remit is ready. Returns how long the start took. */
async function start(settings: NodeJS.ProcessEnv = {}): Promise<number> {
  const startedAt = Date.now()
  const child = spawn(process.execPath, ['scripts/run-ts.mjs', 'dev'], {
    env: { ...env, ...settings },
  })
  const exited = new Promise<number | null>((resolve) => child.on('exit', resolve))
  stop = () => {
    child.kill('SIGTERM')
    return exited
  }
  output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += chunk
    })
  await Promise.race([
    until(async () => output.includes('Remit is ready'), 'npm start'),
    exited.then((code) => Promise.reject(new Error(`Ended with ${code}: ${output}`))),
  ])
  return Date.now() - startedAt
}

/** Returns the README's curl command word for word, except for the port. */
function readmeCurl(): string {
  const [block] = /^curl -X POST \S+\/api\/v1\/payments .*?\n```/ms.exec(readme) ?? ['']
  return block.replace('```', '').replace('http://localhost:8000', url)
}

/** Returns the README's kill command word for word, except for the port and the folder. */
function readmeKill(): string {
  const block = /^```sh\n([^`]*kill -9 [^`]*)```/m.exec(readme)?.[1] ?? ''
  return block.replace('http://localhost:8000', url).replace('.remit', env.REMIT_STATE ?? '')
}
const readme = readFileSync('README.md', 'utf8')

type Received = { body: string; standard: boolean; hmac: boolean }

async function get(path: string) {
  return (await fetch(url + path, { headers: { authorization } })).json()
}

/** Returns the webhooks that the built-in receiver got about a payment. */
async function webhooksOf(paymentId: string) {
  const received = (await get('/dev/receiver/webhooks')) as Received[]
  return received
    .map(({ body, ...signatures }) => ({ ...JSON.parse(body), ...signatures }))
    .filter(({ data }) => data.object.id === paymentId)
}

/**
 * Returns each event once. If a worker is killed between sending a webhook and recording it, the
 * next worker sends the webhook again.
 */
async function distinctWebhooksOf(paymentId: string) {
  const webhooks = await webhooksOf(paymentId)
  return [...new Map(webhooks.map((webhook) => [webhook.id, webhook])).values()]
}

async function payAsReadmeSays() {
  const { stdout } = await exec('bash', ['-c', readmeCurl()])
  const payment = JSON.parse(stdout)
  expect(payment).toMatchObject({ status: 'pending', amount: 50_000, currency: 'INR' })
  return payment
}

async function expectWebhooks(paymentId: string, received = webhooksOf): Promise<void> {
  const sent = await until(async () => {
    const webhooks = await received(paymentId)
    return webhooks.length >= 2 && webhooks
  }, 'the webhooks')
  const good = { standard: true, hmac: true }
  expect(sent.sort((a, b) => a.type.localeCompare(b.type))).toMatchObject([
    { type: 'payment.created', data: { object: { status: 'pending' } }, ...good },
    { type: 'payment.succeeded', data: { object: { status: 'succeeded' } }, ...good },
  ])
  expect(await get(`/api/v1/payments/${paymentId}`)).toMatchObject({ status: 'succeeded' })
}

type Listed = { data: { status: string }[] }

/** Asserts that `npm run demo` prints what happened: three attempts, the last one delivered. */
async function expectDemo(): Promise<void> {
  const before = (await get('/api/v1/webhook_endpoints')) as Listed
  // `exec` throws if the exit code is not 0.
  const { stdout } = await exec(process.execPath, ['scripts/run-ts.mjs', 'demo'], { env })
  const said = [...stdout.matchAll(/attempt (\d) {2}HTTP (\d+) {2}(.*)/g)].map((line) =>
    line.slice(1),
  )
  expect(said).toEqual([
    ['1', '503', 'next attempt in 3 s'],
    ['2', '503', 'next attempt in 3 s'],
    ['3', '200', 'delivered'],
  ])
  const links = stdout.match(/http:\S+/g) ?? []
  const page = `http://localhost:${env.TEMPORAL_UI_PORT}/namespaces/default/workflows`
  expect(links).toEqual([
    expect.stringMatching(`^${page}/pay_[0-9a-z]{26}$`),
    expect.stringMatching(`^${page}/whd_[0-9a-z]{26}$`),
  ])
  for (const link of links) expect((await fetch(link)).status).toBe(200)
  expect(await get('/api/v1/webhook_endpoints')).toEqual(before)
}

const TIMEOUT_MS = 180_000

test(
  "npm start runs the README's curl and the demo, and an open payment succeeds after a restart",
  async () => {
    await start()
    expect(await (await fetch(`${url}/ready`)).json()).toMatchObject({ temporal: 'ok' })
    await expectWebhooks((await payAsReadmeSays()).id)
    await expectDemo()
    const body = { amount: 100, currency: 'INR', method: 'upi', vpa: 'later@upi' }
    const headers = { authorization, 'content-type': 'application/json' }
    const request = { method: 'POST', headers, body: JSON.stringify(body) }
    const open = await (await fetch(`${url}/api/v1/payments`, request)).json()
    expect(await stop()).toBe(0)

    expect(await start()).toBeLessThan(60_000) // 10 s on a quiet machine
    await until(async () => {
      const { status } = (await get(`/api/v1/payments/${(open as { id: string }).id}`)) as {
        status: string
      }
      return status === 'succeeded'
    }, 'the payment that was open')
    await expectWebhooks((await payAsReadmeSays()).id)
    expect(await stop()).toBe(0)
  },
  TIMEOUT_MS,
)

test(
  "a payment succeeds and sends its webhooks although the README's command kills the worker",
  async () => {
    await start({ SANDBOX_DELAY_MS: '' }) // The default delay leaves time to kill the worker.
    const workerPid = () => readFileSync(join(folder, 'state', 'worker.pid'), 'utf8')
    const killedPid = workerPid()
    const { stdout } = await exec('bash', ['-c', readmeKill()])
    const lines = stdout.trimEnd().split('\n')
    const payment = JSON.parse(lines.pop() ?? '')
    expect(lines[0]).toBe('"status":"pending"') // This line was printed after the kill.
    expect(payment).toMatchObject({ status: 'succeeded', amount: 50_000 })
    expect(output).toContain('worker has ended by itself (SIGKILL). It starts again in 0.5 s.\n')
    expect(workerPid()).not.toBe(killedPid)
    await expectWebhooks(payment.id, distinctWebhooksOf)
    expect(await stop()).toBe(0)
    expect(existsSync(join(folder, 'state', 'worker.pid'))).toBe(false)
  },
  TIMEOUT_MS,
)
