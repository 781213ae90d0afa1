import { eq } from 'drizzle-orm'
import type { Activities } from '../../activities/index.ts'
import { orders, payments } from '../../db/schema.ts'
import { refunds } from '../../db/transfer-schema.ts'
import { addMerchant } from '../db.ts'
import { expectAgreed } from '../sale-laws.ts'
import { pause } from '../stack.ts'
import { createClient, type ShopClient } from './client.ts'
import { sharedPostgres } from './database.ts'
import { createRandom } from './random.ts'
import { testRemit } from './remit.ts'
import { testStops } from './stops.ts'

/**
 * The worker is killed with -9 at each step of an order, crossed with what becomes of its payment and
 * what its merchant does. Many orders stand at their steps when it happens, each at one of its own.
 */
const TIMEOUT_MS = 600_000 // of a machine that does much else: it takes a fifth of it
const AT_ONCE = 75
const AMOUNT = 1000
const DECIDES_AFTER_MS = 5_000 // so that every charge and refund is asked about once more

const LOOK_EVERY_MS = 100

const outcomes = ['1@upi', 'fail@upi', 'timeout@upi', 'down@upi'] as const
type Outcome = (typeof outcomes)[number] | 'stuck@upi'
type Step = keyof Activities | 'nobody pays' | 'nobody fulfils' // where its saga waits for somebody

/** `early`: as soon as somebody pays it. */
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

/** Whether this is where the order has to be when the worker is killed. It is there once. */
async function isToStop(moment: string, id: string): Promise<boolean> {
  const there = cases.filter((one) => !struck.has(one) && moment === `${one.moment} ${one.step}`)
  if (there.length === 0) return false
  const orderId = id.startsWith('ord_') ? id : await orderOf(id)
  const [order] = await database.db().select().from(orders).where(eq(orders.id, orderId))
  const one = there.find((each) => order?.reference === referenceOf(each))
  if (one) struck.add(one)
  return one !== undefined
}

function referenceOf(one: Case): string {
  return `${cases.indexOf(one)}`
}

async function orderOf(id: string): Promise<string> {
  const db = database.db()
  const [refund] = await db.select().from(refunds).where(eq(refunds.id, id))
  const paymentId = refund?.paymentId ?? id
  const [payment] = await db.select().from(payments).where(eq(payments.id, paymentId))
  return payment?.orderId ?? ''
}

/** Returns what became of the order. */
async function run(client: ShopClient, one: Case): Promise<{ id: string; status: string }> {
  const { step, outcome, end } = one
  const standIn = async (here: Step) => {
    if (step !== here) return
    struck.add(one)
    await stops.stop()
  }
  const money = { amount: AMOUNT, currency: 'INR' }
  const reference = referenceOf(one)
  const id = await client.make('/api/v1/orders', () => ({ ...money, reference }))
  await standIn('nobody pays')
  const payment = await client.payFor(id, { amount: AMOUNT, vpa: outcome })
  if (payment && end !== 'canceled early') await client.untilMoved(payment)
  else if (step === 'chargePayment') while (!struck.has(one)) await pause(LOOK_EVERY_MS)
  await standIn('nobody fulfils')
  const verb = end === 'fulfilled' ? 'fulfill' : 'cancel'
  await client.ask(`/api/v1/orders/${id}/${verb}`, {})
  return { id, status: await remit.client().workflow.getHandle(id).result() }
}

function nameOf({ moment, step, outcome, end }: Case): string {
  return `${moment} ${step}, paid by ${outcome}, ${end}`
}

test(
  'a worker killed with -9 at any step of an order: its money and its status agree',
  async () => {
    const merchant = await addMerchant(remit.db())
    const client = createClient({ url: remit.url(), merchant, random: createRandom() })
    await client.topUp(cases.length * AMOUNT) // a fee, or a late refund, refuses no cancel
    const startedAt = performance.now()
    let kills = 0
    const running: Promise<void>[] = []
    const ended = new Map<Case, { id: string; status: string }>()
    for (let n = 0; n < cases.length; n += AT_ONCE) {
      const some = cases.slice(n, n + AT_ONCE)
      for (const one of some) running.push(run(client, one).then((end) => void ended.set(one, end)))
      const count = () => some.filter((one) => struck.has(one) || !ended.has(one)).length
      await stops.untilAllStand(count, async () => {
        kills++
        await remit.kill('worker')
        remit.start('worker')
      })
    }
    await Promise.all(running)
    const tookS = Math.round((performance.now() - startedAt) / 1000)
    process.stdout.write(`${cases.length} orders, ${kills} kills, ended after ${tookS} s\n`)

    expect(cases.filter((one) => !struck.has(one)).map(nameOf)).toEqual([])
    for (const [one, { id, status }] of ended) {
      const expected = one.end === 'fulfilled' ? 'fulfilled' : 'canceled'
      expect([nameOf(one), status]).toEqual([nameOf(one), expected])
      await expectAgreed(remit.db(), id)
    }
    expect(remit.endedByThemselves).toEqual([])
  },
  TIMEOUT_MS,
)
