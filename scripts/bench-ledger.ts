import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Db, openDb } from '../db/client.ts'
import { insertMerchant, newKeyPair } from '../db/merchants/merchants.ts'
import { migrateDb } from '../db/migrate.ts'
import { insertPayment } from '../db/payments/payments.ts'
import { settlePayment } from '../db/payments/steps.ts'
import { createSupervisor } from './start/supervisor.ts'
import { startPostgres } from './tools/postgres.ts'

const STATEMENT_TIMEOUT_MS = 30_000
const FEE_BPS = 200

const { values: options } = parseArgs({
  options: {
    payments: { type: 'string', default: '2000' }, // on each side, in each round
    rounds: { type: 'string', default: '5' },
    merchants: { type: 'string', default: '100' },
    connections: { type: 'string', default: '16' },
    durable: { type: 'boolean', default: false }, // each commit waits for the disk
  },
})
const payments = Number(options.payments)
const rounds = Number(options.rounds)
const connections = Number(options.connections)

const folder = mkdtempSync(join(tmpdir(), 'remit-bench-ledger-'))
const dataDir = join(folder, 'postgres')
const { keep, stop } = createSupervisor({
  stopOrder: ['Postgres'],
  onStopped() {
    if (options.durable) rmSync(realpathSync(dataDir), { recursive: true, force: true })
    rmSync(folder, { recursive: true, force: true })
  },
})
/** Sums the time and the CPU time of this process, because the process may limit both rates. */
const timed = { ms: 0, cpuMs: 0 }
bench().then(
  () => stop(0),
  (error) => stop(1, error.stack),
)

/**
 * Settles payments as the worker does. A payment costs the database nothing more after the
 * provider's verdict `succeeded`: the status, the event and the booking. Payments of one merchant
 * alternate with as many payments of a hundred merchants.
 */
async function bench(): Promise<void> {
  await chmod(folder, 0o755) // root's Postgres runs as another user
  const { url } = keep('Postgres', await startPostgres(options.durable ? { dataDir } : {}))
  await migrateDb(url)
  const db = openDb(url, { poolMax: connections, statementTimeoutMs: STATEMENT_TIMEOUT_MS })
  const many = await inFlight(Array.from({ length: Number(options.merchants) }), () => addOne(db))
  const one = many.slice(0, 1)

  const rates: Record<'one' | 'many', number>[] = []
  const sides = [
    ['many', many],
    ['one', one],
  ] as const
  for (let round = 0; round <= rounds; round++) {
    const rate = { one: 0, many: 0 }
    // The sides take turns at going first, because a disk or a neighbor may get slower by the
    // minute.
    for (const [side, ids] of round % 2 === 0 ? sides : sides.toReversed())
      rate[side] = await settle(db, ids)
    if (round === 0) continue // round 0 warms up
    rates.push(rate)
    const ratio = (rate.one / rate.many).toFixed(2)
    console.log(`Round ${round}: ${perSecond(rate.one)}, ${perSecond(rate.many)}, ratio ${ratio}`)
  }
  await db.$client.end()
  const cores = timed.cpuMs / timed.ms
  console.log(`
to one merchant: ${perSecond(median(rates.map((rate) => rate.one)))}
to ${many.length} merchants: ${perSecond(median(rates.map((rate) => rate.many)))}
ratio, median of ${rounds} rounds: ${median(rates.map((rate) => rate.one / rate.many)).toFixed(2)}
this process took ${cores.toFixed(2)} cores
`)
}

/**
 * Returns settled payments per second, with `connections` under way at once. The payments are
 * inserted before the clock runs.
 */
async function settle(db: Db, merchantIds: string[]): Promise<number> {
  const turns = Array.from({ length: payments }, (_, n) => n)
  const ids = await inFlight(turns, (n) => {
    const values = { ...payment, merchantId: merchantIds[n % merchantIds.length] ?? '' }
    const insert = db.transaction((tx) => insertPayment(tx, values, new Date()))
    return insert.then((made) => made.payment.id)
  })
  const [startedAt, cpuBefore] = [performance.now(), process.cpuUsage()]
  const verdict = { status: 'succeeded', failureCode: null } as const
  await inFlight(ids, (id) => settlePayment(db, id, verdict, { feeBps: FEE_BPS, now: new Date() }))
  const ms = performance.now() - startedAt
  const { user, system } = process.cpuUsage(cpuBefore)
  timed.ms += ms
  timed.cpuMs += (user + system) / 1_000
  return payments / (ms / 1_000)
}

async function inFlight<T, R>(items: T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const queue = items.entries()
  const run = async () => {
    for (const [i, item] of queue) results[i] = await work(item)
  }
  await Promise.all(Array.from({ length: connections }, run))
  return results
}

function addOne(db: Db): Promise<string> {
  return db.transaction((tx) => insertMerchant(tx, 'Bench', newKeyPair(), new Date()))
}

function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function perSecond(rate: number): string {
  return `${rate.toFixed(0)}/s`
}

const payment = {
  orderId: null,
  amount: 50_000,
  currency: 'INR',
  method: 'upi' as const,
  captureMethod: 'automatic' as const,
  vpa: 'bench@upi',
  cardToken: null,
  cardBrand: null,
  cardLast4: null,
  description: null,
  metadata: {},
  provider: 'sandbox',
}
