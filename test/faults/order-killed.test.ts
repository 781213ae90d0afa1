import { eq } from 'drizzle-orm'
import type { Activities } from '../../activities/index.ts'
import { orders, payments } from '../../db/payments/schema.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { expectLawful } from '../ledger/ledger-laws.ts'
import { expectKept } from '../sales/sale-laws.ts'
import { addMerchant } from '../support/db.ts'
import { pause } from '../support/stack.ts'
import { createClient, type ShopClient } from './client.ts'
import { sharedPostgres } from './database.ts'
import { createRandom } from './random.ts'
import { testRemit } from './remit.ts'
import { testStops } from './stops.ts'

/**
 * The worker is killed with -9 at each step of an order, combined with each outcome of the payment
 * and each command of the merchant. At each kill many orders stand still, each at its own step.
 */
const TIMEOUT_MS = 600_000 // the machine may be busy: the test needs a fifth of this
const AT_ONCE = 75
const AMOUNT = 1000
const DECIDES_AFTER_MS = 5_000 // long enough that every charge and refund is polled again

const LOOK_EVERY_MS = 100
const ROUNDS_MAX = 3

const outcomes = ['1@upi', 'fail@upi', 'timeout@upi', 'down@upi'] as const
type Outcome = (typeof outcomes)[number] | 'stuck@upi'
type Step = keyof Activities | 'nobody pays' | 'nobody fulfils' // the last two wait for a person

/** `canceled early`: the cancel follows the payment at once, without waiting for its verdict. */
type End = 'fulfilled' | 'canceled' | 'canceled early'
type Case = { moment: 'before' | 'after' | 'while'; step: Step; outcome: Outcome; end: End }

const both = ['before', 'after'] as const
const isPaid = (outcome: Outcome) => !['fail@upi', 'stuck@upi'].includes(outcome)

function* casesOf(steps: Step[], ends: End[], sources: readonly Outcome[]): Iterable<Case> {
  for (const step of steps)
    for (const outcome of sources)
      for (const end of ends.filter((one) => one !== 'fulfilled' || isPaid(outcome)))
        for (const moment of step.startsWith('nobody') ? (['while'] as const) : both)
          yield { moment, step, outcome, end }
}

const paid = outcomes.filter(isPaid)
const early: End[] = ['canceled early']
const eitherWay: End[] = ['fulfilled', 'canceled']
const cases: Case[] = [
  ...casesOf(['nobody pays', 'takeUpOrder', 'chargePayment', 'pollCharge'], eitherWay, outcomes),
  ...casesOf(['nobody fulfils'], eitherWay, paid),
  ...casesOf(['fulfillOrder'], ['fulfilled'], paid),
  ...casesOf(['cancelOrder', 'awaitPaymentEnd', 'refundOrder'], ['canceled'], outcomes),
  ...casesOf(['sendRefund', 'pollRefund', 'awaitRefundEnd'], ['canceled'], paid),
  ...casesOf(['chargePayment', 'cancelOrder', 'awaitPaymentEnd', 'refundOrder'], early, [
    ...outcomes,
    'stuck@upi',
  ]),
  ...casesOf(['cancelCharge'], early, ['stuck@upi']),
]

const database = sharedPostgres()
const stops = testStops(isToStop)
const remit = testRemit({
  database,
  env: (name) => ({
    SANDBOX_DELAY_MS: `${DECIDES_AFTER_MS}`,
    ...(name === 'worker' && stops.env()),
  }),
})

const struck = new Set<Case>()

/** Says whether the order must stand here until the worker is killed. Each case does so once. */
async function isToStop(moment: string, id: string): Promise<boolean> {
  const there = cases.filter((one) => !struck.has(one) && moment === `${one.moment} ${one.step}`)
  if (there.length === 0) return false
  const orderId = id.startsWith('ord_') ? id : await orderOf(id)
  const [order] = await database.db().select().from(orders).where(eq(orders.id, orderId))
  const one = there.find((each) => order?.reference?.startsWith(referenceOf(each)))
  if (one) struck.add(one)
  return one !== undefined
}

function referenceOf(one: Case): string {
  return `case ${cases.indexOf(one)}, `
}

async function orderOf(id: string): Promise<string> {
  const db = database.db()
  const [refund] = await db.select().from(refunds).where(eq(refunds.id, id))
  const paymentId = refund?.paymentId ?? id
  const [payment] = await db.select().from(payments).where(eq(payments.id, paymentId))
  return payment?.orderId ?? ''
}

async function run(client: ShopClient, one: Case, round: number) {
  const { step, outcome, end } = one
  const standIn = async (here: Step) => {
    if (step !== here) return
    struck.add(one)
    await stops.stop()
  }
  const money = { amount: AMOUNT, currency: 'INR' }
  const reference = `${referenceOf(one)}round ${round}`
  const id = await client.make('/api/v1/orders', () => ({ ...money, reference }))
  await standIn('nobody pays')
  const payment = await client.payFor(id, { amount: AMOUNT, vpa: outcome })
  if (payment && end !== 'canceled early') await client.untilMoved(payment)
  else if (step === 'chargePayment') while (!struck.has(one)) await pause(LOOK_EVERY_MS)
  await standIn('nobody fulfils')
  const verb = end === 'fulfilled' ? 'fulfill' : 'cancel'
  await client.ask(`/api/v1/orders/${id}/${verb}`, {})
  const status: string = await remit.client().workflow.getHandle(id).result()
  return { id, status }
}

/** Kills the worker when each of these cases stands at its step. Returns how their orders end. */
async function strike(client: ShopClient, some: Case[], round: number, kill: () => Promise<void>) {
  const over = new Set<Case>()
  const ended = Promise.all(
    some.map(async (one) => {
      const end = await run(client, one, round)
      over.add(one)
      return { one, ...end }
    }),
  )
  ended.catch(() => {}) // a later `await` still gets the error
  const coming = () => some.filter((one) => struck.has(one) || !over.has(one)).length
  await stops.untilAllStand(coming, kill)
  return { ended }
}

function nameOf({ moment, step, outcome, end }: Case): string {
  return `${moment} ${step}, paid by ${outcome}, ${end}`
}

test(
  'the money and the status of an order agree after its worker was killed with -9 at any step',
  async () => {
    const merchant = await addMerchant(remit.db())
    const client = createClient({ url: remit.url(), merchant, random: createRandom() })
    await client.topUp(cases.length * AMOUNT) // covers fees and late refunds, so no cancel fails
    const startedAt = performance.now()
    let kills = 0
    const kill = async () => {
      kills++
      await remit.kill('worker')
      remit.start('worker')
    }
    const sold: { one: Case; id: string; status: string }[] = []
    // A kill may meet a case before its step, so that the case never gets there and begins again.
    for (let round = 1; round <= ROUNDS_MAX; round++) {
      const left = cases.filter((one) => !struck.has(one))
      const ending: Promise<typeof sold>[] = []
      for (let n = 0; n < left.length; n += AT_ONCE)
        ending.push((await strike(client, left.slice(n, n + AT_ONCE), round, kill)).ended)
      sold.push(...(await Promise.all(ending)).flat())
    }
    const tookS = Math.round((performance.now() - startedAt) / 1000)
    process.stdout.write(`${sold.length} orders, ${kills} kills, ended after ${tookS} s\n`)

    expect(cases.filter((one) => !struck.has(one)).map(nameOf)).toEqual([])
    for (const { one, id, status } of sold) {
      const expected = one.end === 'fulfilled' ? 'fulfilled' : 'canceled'
      expect([nameOf(one), status]).toEqual([nameOf(one), expected])
      await expectKept(remit.db(), id)
    }
    await expectLawful(remit.db(), merchant.id)
    expect(remit.endedByThemselves).toEqual([])
  },
  TIMEOUT_MS,
)
