import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type SQL, sql } from 'drizzle-orm'
import { invoices } from '../db/invoice-schema.ts'
import { balanceTransactions } from '../db/ledger-schema.ts'
import { apiKeys, orders, paymentLinks, payments } from '../db/schema.ts'
import { seedDemo } from '../db/seed.ts'
import { payouts, refunds } from '../db/transfer-schema.ts'
import { deliveries, endpoints, events } from '../db/webhook-schema.ts'
import { testKey } from './cipher.ts'
import { testDb } from './db.ts'
import { testPrograms } from './programs.ts'
import { until } from './stack.ts'

const exec = promisify(execFile)
const TIMEOUT_MS = 240_000 // it waits for some twenty things, a second each time it asks
jest.setTimeout(TIMEOUT_MS)

const HERE = 'API=http://localhost:8000\n' // the one line that is another here
const END_OF_BLOCK = '--- end of block ---'
const receiverSecret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`

const db = testDb()
const { start, folder } = testPrograms(db)

type Block = { code: string; shown: string[] }
const doc = readFileSync('docs/tour.md', 'utf8')
const blocks = blocksOf(doc)
let url: string
let lines: string[]
let printed: string[][] // by block
let ids: Record<string, string> // what the shell's variables hold

/** Each command, with what the page shows of its output: the fence below it. */
function blocksOf(text: string): Block[] {
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

/** As `npm start` does it, but for a sandbox that decides sooner. */
async function startRemit(): Promise<void> {
  const settings = { LOG_LEVEL: 'debug', PUBLIC_URL: 'http://localhost:8000' }
  const api = await start('api', { ...settings, DEV_RECEIVER_SECRET: receiverSecret })
  const receiver = { receiverUrl: `${api.url}/dev/receiver`, receiverSecret }
  await seedDemo({ url: db.url, encryptionKey: testKey.toString('base64'), ...receiver })
  await start('worker', { SANDBOX_DELAY_MS: '200-400' })
  url = api.url
  lines = api.lines
}

/** Runs the page in one shell, which ends at the first command that fails. */
async function takeTour(): Promise<void> {
  const script = [
    'set -eu -o pipefail',
    ...blocks.map(
      ({ code }) => `${code.replace(HERE, `API=${url}\n`)}echo; echo '${END_OF_BLOCK}'`,
    ),
    "set | grep -E '^[A-Z_]+=[a-z]+_[0-9a-z]{26}$'",
  ]
  const file = join(folder(), 'tour.sh')
  await writeFile(file, script.join('\n'))
  const { stdout } = await exec('bash', [file]).catch(({ stdout, stderr }) => {
    throw new Error(`The tour ended early.\n${stdout}\n${stderr}`)
  })
  const parts = stdout.split(`${END_OF_BLOCK}\n`).map(linesOf)
  ids = Object.fromEntries((parts.pop() ?? []).map((line) => line.split('=')))
  printed = parts
}

beforeAll(async () => {
  await startRemit()
  await takeTour()
}, TIMEOUT_MS)

/** An ellipsis stands for what is different each time. */
function likeness(shown: string) {
  const parts = shown.split('…').map((part) => part.replace(/[^\w\s]/g, '\\$&'))
  return expect.stringMatching(`^${parts.join('[\\w:.-]+')}$`)
}

test('it only uses the address of npm start, in a single place', () => {
  expect(doc.split(HERE)).toHaveLength(2)
  expect(blocks.length).toBeGreaterThan(20)
})

test('each block prints what is shown below it, and nothing else', () => {
  expect(printed).toEqual(blocks.map(({ shown }) => shown.map(likeness)))
})

const tables = {
  ...{ ord: orders, pay: payments, re: refunds, plink: paymentLinks, inv: invoices, po: payouts },
  ...{ txn: balanceTransactions, evt: events, we: endpoints, whd: deliveries, ak: apiKeys },
}

async function rowOf(id: string) {
  const table = tables[id.split('_')[0] as keyof typeof tables]
  return one(sql`select to_jsonb(t) as value from ${table} t where id = ${id}`)
}

async function one(query: SQL) {
  const { rows } = await db.execute<{ value: unknown }>(query)
  return rows[0]?.value
}

test('each object that it makes has ended as it says', async () => {
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

/** What the API says that it was asked; the last line of it may take a moment. */
function asked(): Promise<Request[]> {
  return until(async () => {
    const requests = lines.map((line) => JSON.parse(line)).filter(({ path }) => path)
    return requests.some(({ path }) => path.endsWith(`/api_keys/${ids.KEY}`)) && requests
  }, 'the last line of the log')
}

test('nothing is refused but the payment that the page says is', async () => {
  const refused = (await asked()).filter(({ status }) => status >= 300)
  expect(refused).toMatchObject([{ method: 'POST', path: `/pay/${ids.LINK}`, status: 409 }])
})

type Operations = Record<string, { tags: string[] }>

test('every resource of the API is visited', async () => {
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as {
    paths: Record<string, Operations>
    tags: { name: string }[]
  }
  const done = (await asked()).filter(({ status }) => status < 300)
  const visited = Object.entries(document.paths).flatMap(([path, operations]) => {
    const pattern = new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`)
    const methods = done.filter((request) => pattern.test(request.path))
    return methods.flatMap(({ method }) => operations[method.toLowerCase()]?.tags ?? [])
  })
  expect([...new Set(visited)].sort()).toEqual(document.tags.map(({ name }) => name).sort())
})

test('the receiver that it points at has verified all that has come', async () => {
  const received = (await (await fetch(`${url}/dev/receiver/webhooks`)).json()) as object[]
  expect(received.length).toBeGreaterThan(20)
  for (const webhook of received) expect(webhook).toMatchObject({ standard: true, hmac: true })
})
