import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type SQL, sql } from 'drizzle-orm'
import { invoices } from '../../db/invoices/schema.ts'
import { balanceTransactions } from '../../db/ledger/schema.ts'
import { apiKeys } from '../../db/merchants/schema.ts'
import { seedDemo } from '../../db/merchants/seed.ts'
import { orders, paymentLinks, payments } from '../../db/payments/schema.ts'
import { payouts } from '../../db/payouts/schema.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { deliveries, endpoints, events } from '../../db/webhooks/schema.ts'
import { tryPort } from '../../scripts/tools/processes.ts'
import { testKey } from '../support/cipher.ts'
import { testDb } from '../support/db.ts'
import { testPrograms } from '../support/programs.ts'
import { until } from '../support/stack.ts'

const exec = promisify(execFile)
const TIMEOUT_MS = 240_000 // the tour waits about twenty times, and asks once a second
jest.setTimeout(TIMEOUT_MS)

const ADDRESS = 'http://localhost:8000' // npm start's address, which differs here
const END_OF_BLOCK = '--- end of block ---'
const receiverSecret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`

const db = testDb()
const { start, folder } = testPrograms(db)

type Block = { code: string; shown: string[] }
const tour = blocksOf('docs/tour.md')
const quickstart = blocksOf('docs/quickstart.md')
let url: string
let lines: string[]
let printed: string[][] // per block of the tour
let ids: Record<string, string> // the ids in the shell's variables

/** Returns each command of a page, with the output that the fence below the command shows. */
function blocksOf(page: string): Block[] {
  const text = readFileSync(page, 'utf8')
  const found: Block[] = []
  for (const [, language, body = ''] of text.matchAll(/^```(\w*)\n(.*?)^```$/gms)) {
    if (language === 'sh') found.push({ code: body, shown: [] })
    else found.at(-1)?.shown.push(...linesOf(body))
  }
  return found
}

function linesOf(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line !== '')
}

/** Starts Remit like `npm start`, but with a sandbox that decides sooner. */
async function startRemit(): Promise<void> {
  const port = await tryPort(0)
  url = `http://127.0.0.1:${port}`
  const settings = { PORT: `${port}`, PUBLIC_URL: url, DEV_RECEIVER_SECRET: receiverSecret }
  const api = await start('api', { LOG_LEVEL: 'debug', ...settings })
  lines = api.lines
  const receiver = { receiverUrl: `${url}/dev/receiver`, receiverSecret }
  await seedDemo({ url: db.url, encryptionKey: testKey.toString('base64'), ...receiver })
  await start('worker', { SANDBOX_DELAY_MS: '200-400' })
}

/** Runs the commands in one shell, which ends at the first failure. Returns the output. */
async function run(commands: string[]): Promise<string> {
  const file = join(folder(), 'commands.sh')
  const script = ['set -eu -o pipefail', ...commands].join('\n')
  await writeFile(file, script.replaceAll(ADDRESS, url))
  const { stdout } = await exec('bash', [file]).catch(({ stdout, stderr }) => {
    throw new Error(`The commands ended early.\n${stdout}\n${stderr}`)
  })
  return stdout
}

beforeAll(async () => {
  await startRemit()
  const stdout = await run([
    ...tour.map(({ code }) => `${code}echo; echo '${END_OF_BLOCK}'`),
    "set | grep -E '^[A-Z_]+=[a-z]+_[0-9a-z]{26}$'",
  ])
  const parts = stdout.split(`${END_OF_BLOCK}\n`).map(linesOf)
  ids = Object.fromEntries((parts.pop() ?? []).map((line) => line.split('=')))
  printed = parts
}, TIMEOUT_MS)

/** Matches a line of the page, where an ellipsis stands for text that differs in each run. */
function likeness(shown: string) {
  const parts = shown
    .replaceAll(ADDRESS, url)
    .split('…')
    .map((part) => part.replace(/[^\w\s]/g, '\\$&'))
  return expect.stringMatching(`^${parts.join('[\\w:.-]+')}$`)
}

test('the tour writes its address once, where a reader with another address changes it', () => {
  expect(tour.filter(({ code }) => code.includes(ADDRESS))).toEqual([tour[0]])
  expect(tour.length).toBeGreaterThan(20)
})

test('each block of the tour prints only the output that the page shows below it', () => {
  expect(printed).toEqual(tour.map(({ shown }) => shown.map(likeness)))
})

const tables = {
  ord: orders,
  pay: payments,
  re: refunds,
  plink: paymentLinks,
  inv: invoices,
  po: payouts,
  txn: balanceTransactions,
  evt: events,
  we: endpoints,
  whd: deliveries,
  ak: apiKeys,
}

async function rowOf(id: string) {
  const table = tables[id.split('_')[0] as keyof typeof tables]
  return one(sql`select to_jsonb(t) as value from ${table} t where id = ${id}`)
}

async function one(query: SQL) {
  const { rows } = await db.execute<{ value: unknown }>(query)
  return rows[0]?.value
}

test('each object that the tour creates ends as the page says', async () => {
  const rows = Object.entries(ids).map(async ([name, id]) => [name, await rowOf(id)])
  expect(Object.fromEntries(await Promise.all(rows))).toEqual(
    Object.fromEntries(
      Object.entries(ended).map(([name, row]) => [name, expect.objectContaining(row)]),
    ),
  )
  const { PAYMENT: payment_id, RESERVED, LINK } = ids
  expect(await rowOf(ids.ORDER ?? '')).toMatchObject({ payment_id })
  expect(await rowOf(ids.REFUND ?? '')).toMatchObject({ payment_id: RESERVED })
  expect(await rowOf(ids.RESENT ?? '')).toMatchObject({ resend_of: ids.DELIVERY })
  expect(await one(sql`select count(*)::int as value from payments`)).toBe(5)
  expect(await one(sql`select status as value from payments where payment_link_id = ${LINK}`)).toBe(
    'succeeded',
  )
  expect(
    await one(sql`select jsonb_object_agg(account, balance) as value from ledger_accounts`),
  ).toEqual({ available: 230_000, held: 0, receivable: 0 })
})

const ended = {
  KEY: { name: 'The tour', revoked_at: expect.any(String) },
  ENDPOINT: { deleted_at: expect.any(String), event_types: ['order.paid'] },
  EVENT: { type: 'order.paid' },
  ORDER: { status: 'fulfilled', amount: 50_000 },
  PAYMENT: { status: 'succeeded', amount_captured: 50_000, amount_refunded: 0 },
  RESERVED: { status: 'succeeded', amount_captured: 60_000, amount_refunded: 15_000 },
  CANCELED: { status: 'canceled', amount_captured: 0 },
  REFUND: { status: 'succeeded', amount: 15_000 },
  TRANSACTION: { type: 'refund' },
  CALLED_OFF: { status: 'canceled', cancellation_reason: 'requested' },
  PAID: { status: 'succeeded', amount_captured: 20_000, amount_refunded: 20_000 },
  LINK: { status: 'paid', amount: 75_000 },
  WITHDRAWN: { status: 'canceled' },
  INVOICE: { status: 'paid', amount_paid: 60_000 },
  PAYOUT: { status: 'completed', amount: 40_000 },
  LOST: { status: 'failed', amount: 5_000 },
  HAPPENED: { type: 'order.fulfilled' },
  MISSED: { type: 'order.paid' },
  DELIVERY: { status: 'failed' },
  RESENT: { status: 'delivered' },
}

type Request = { method: string; path: string; status: number }

/** Waits for the request `last` in the API's log, and returns all requests up to it. */
function asked(last: string): Promise<Request[]> {
  return until(async () => {
    const requests: Request[] = lines
      .map((line) => JSON.parse(line))
      .filter(({ path }) => path && !path.startsWith('/dev/'))
    const end = requests.findIndex(({ method, path }) => `${method} ${path}` === last)
    return end >= 0 && requests.slice(0, end + 1)
  }, 'the last line of the log')
}

const askedByTour = () => asked(`DELETE /api/v1/api_keys/${ids.KEY}`)

/** Returns each request that was not answered with a status below 300. */
function refusalsOf(requests: Request[]): string[] {
  return requests
    .filter(({ status }) => status >= 300)
    .map(({ method, path, status }) => `${method} ${path} ${status}`)
}

test('the only request of the tour that is refused is the payment that the page announces', async () => {
  expect(refusalsOf(await askedByTour())).toEqual([`POST /pay/${ids.LINK} 409`])
})

type Operations = Record<string, { tags: string[] }>

test('the tour visits every resource of the API', async () => {
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as {
    paths: Record<string, Operations>
    tags: { name: string }[]
  }
  const done = (await askedByTour()).filter(({ status }) => status < 300)
  const visited = Object.entries(document.paths).flatMap(([path, operations]) => {
    const pattern = new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`)
    const methods = done.filter((request) => pattern.test(request.path))
    return methods.flatMap(({ method }) => operations[method.toLowerCase()]?.tags ?? [])
  })
  expect([...new Set(visited)].sort()).toEqual(document.tags.map(({ name }) => name).sort())
})

test('the built-in receiver verifies all webhooks that the tour sends', async () => {
  const received = await until(async () => {
    const kept = (await (await fetch(`${url}/dev/receiver/webhooks`)).json()) as object[]
    return kept.length > 20 && kept
  }, 'the webhooks')
  for (const webhook of received) expect(webhook).toMatchObject({ standard: true, hmac: true })
})

/** Replaces `sleep` by a wait that ends when no payment is pending any more. */
const WAIT = `
sleep() {
  while curl -sS "$API/payments?status=pending" -H "Authorization: Bearer $SECRET" | grep -q pay_
  do command sleep 0.2
  done
}`

test("the quickstart's commands do what the page says", async () => {
  const before = (await askedByTour()).length
  const stdout = await run([WAIT, ...quickstart.map(({ code }) => code), 'curl -sS "$API/THE_END"'])
  const requests = (await asked('GET /api/v1/THE_END')).slice(before, -1)
  const refusals = refusalsOf(requests)
  const payouts = refusals.filter((refusal) => /^POST .*payouts.*cancel 409$/.test(refusal))
  expect(payouts.length).toBeLessThanOrEqual(1) // this sandbox may be faster than the cancel
  expect(refusals.filter((refusal) => !payouts.includes(refusal))).toEqual([
    'POST /api/v1/payments 400', // shows an example of an error
  ])
  expect(stdout).toMatch(/idempotent-replayed: true/i)
  const fulfilled = sql`select count(*)::int as value from orders where status = 'fulfilled'`
  await until(async () => (await one(fulfilled)) === 2, 'the order to be fulfilled')
})

test('the curl commands of README.md and docs/webhooks.md are accepted', async () => {
  const blocks = [...blocksOf('README.md'), ...blocksOf('docs/webhooks.md')]
  const commands = blocks
    .map(({ code }) => code)
    .filter((code) => code.includes('curl ') && !code.includes('kill -9')) // start.test.ts kills
  expect(commands).toHaveLength(4)
  await fetch(`${url}/api/v1/BEFORE`)
  const before = (await asked('GET /api/v1/BEFORE')).length
  await run([...commands, `curl -sS ${ADDRESS}/api/v1/AFTER`])
  const requests = (await asked('GET /api/v1/AFTER')).slice(before, -1)
  expect(requests.length).toBeGreaterThanOrEqual(commands.length)
  expect(refusalsOf(requests)).toEqual([])
})
