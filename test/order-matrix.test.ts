import { eq } from 'drizzle-orm'
import type { Activities } from '../activities/index.ts'
import { payments } from '../db/schema.ts'
import { refunds } from '../db/transfer-schema.ts'
import { cancelOrder } from '../workflows/index.ts'
import { expectAgreed, saleOf } from './sale-laws.ts'
import { byVpa, testSales, WEEK_MS } from './selling.ts'
import { pause, resetWorkflow, until } from './stack.ts'

/**
 * Whatever strikes an order, whenever, and whatever becomes of its payment: its money and its status
 * agree afterwards. All cases run beside one another, as most of the time is spent waiting.
 */
const { db, temporal, openShop, use, handleOf, orderOf, untilStage } = testSales()

/** What the provider takes: it is asked again meanwhile, also where its first answer is lost. */
const DELAY_MS = 1_500
const DEADLINE_MS = 8_000
const AT_ONCE = 24

const outcomes = ['test@upi', 'fail@upi', 'timeout@upi', 'down@upi'] as const
type Outcome = (typeof outcomes)[number]
const isPaidBy = (outcome: Outcome) => outcome !== 'fail@upi'

type Moment = 'before' | 'after'
/** Null: nothing is under way, and it strikes while the workflow waits. */
type At = { activity: keyof Activities; moment: Moment } | null
type Step = 'unpaid' | 'charging' | 'deciding' | 'settling' | 'paid' | 'fulfilling' | 'compensating'
type Trouble = 'canceled' | 'too late' | 'killed'
type Case = { step: Step; at: At; trouble: Trouble; outcome: Outcome; fulfil: boolean }

const before = (activity: keyof Activities): At => ({ activity, moment: 'before' })
const after = (activity: keyof Activities): At => ({ activity, moment: 'after' })

const moments: Record<Exclude<Step, 'compensating'>, At[]> = {
  unpaid: [null],
  charging: [before('chargePayment'), after('chargePayment')],
  deciding: [before('pollCharge')],
  settling: [after('pollCharge')],
  paid: [null],
  fulfilling: [before('fulfillOrder'), after('fulfillOrder')],
}
const undoing = [
  'cancelOrder',
  'awaitPaymentEnd',
  'refundOrder',
  'sendRefund',
  'awaitRefundEnd',
] as const

function* casesWhileItIsSold(): Iterable<Case> {
  for (const [step, ats] of Object.entries(moments) as [Exclude<Step, 'compensating'>, At[]][])
    for (const at of ats)
      for (const outcome of outcomes) {
        const isReached = isPaidBy(outcome) || !['paid', 'fulfilling'].includes(step)
        if (!isReached) continue
        const fulfil = step === 'fulfilling'
        for (const trouble of ['canceled', 'too late'] as const)
          yield { step, at, trouble, outcome, fulfil }
        yield { step, at, trouble: 'killed', outcome, fulfil: true }
        if (!fulfil) yield { step, at, trouble: 'killed', outcome, fulfil }
      }
}

function* casesWhileItIsUndone(): Iterable<Case> {
  for (const activity of undoing)
    for (const outcome of outcomes) {
      const isRefund = activity === 'sendRefund' || activity === 'awaitRefundEnd'
      if (isRefund && !isPaidBy(outcome)) continue
      for (const moment of ['before', 'after'] as const)
        for (const trouble of ['canceled', 'killed'] as const)
          yield { step: 'compensating', at: { activity, moment }, trouble, outcome, fulfil: false }
    }
}

const cases = [...casesWhileItIsSold(), ...casesWhileItIsUndone()]

function nameOf({ step, at, trouble, outcome, fulfil }: Case): string {
  const when = at ? ` (${at.moment} ${at.activity})` : ''
  return `${trouble} while ${step}${when}, paid by ${outcome}${fulfil ? ', fulfilled' : ''}`
}

/** What strikes an order once, when its workflows come to a certain activity. */
const strikes = new Map<string, { at: At; act: () => Promise<unknown> }>()

async function strike(orderId: string, activity: string, moment: Moment): Promise<void> {
  const found = strikes.get(orderId)
  if (found?.at?.activity !== activity || found.at.moment !== moment) return
  strikes.delete(orderId)
  await found.act()
}

async function orderIdOf(id: string): Promise<string> {
  if (id.startsWith('ord_')) return id
  const [refund] = await db.select().from(refunds).where(eq(refunds.id, id))
  const paymentId = refund?.paymentId ?? id
  const [payment] = await db.select().from(payments).where(eq(payments.id, paymentId))
  return payment?.orderId ?? ''
}

function struck(real: Activities): Partial<Activities> {
  const names = [...Object.values(moments).flat(), ...undoing.map(before)].map((at) => at?.activity)
  const wrapped = names.map((name) => {
    const call = real[name as 'chargePayment'] as (...args: unknown[]) => Promise<unknown>
    async function activity(id: string, ...rest: unknown[]): Promise<unknown> {
      const orderId = await orderIdOf(id)
      await strike(orderId, `${name}`, 'before')
      const result = await call(id, ...rest)
      await strike(orderId, `${name}`, 'after')
      return result
    }
    return [name, activity]
  })
  return Object.fromEntries(wrapped)
}

async function run({ step, at, trouble, outcome, fulfil }: Case): Promise<void> {
  const shop = await openShop()
  const id = await shop.order({ inMs: trouble === 'too late' ? DEADLINE_MS : WEEK_MS })
  const { fulfilBy } = await orderOf(id)
  const tooLate = () => pause(fulfilBy.getTime() - Date.now() + 300)
  const statusOf = async () => (await orderOf(id)).status
  const isOver = async () => ['fulfilled', 'canceled'].includes(await statusOf())

  /** In an activity of its own workflows, which an answer would be waited for by. */
  async function cancel(): Promise<void> {
    const asked = shop.post(`orders/${id}/cancel`)
    handleOf(id)
      .executeUpdate(cancelOrder)
      .catch(() => {}) // an operator's, beside
    await Promise.race([asked, pause(1_000)])
    if (step === 'compensating') await handleOf(id).cancel()
  }
  async function die(): Promise<never> {
    throw new Error('killed')
  }
  const act = { canceled: cancel, 'too late': tooLate, killed: die }[trouble]
  if (at) strikes.set(id, { at, act })
  const here = () => (trouble === 'killed' ? resetWorkflow(temporal.client(), id) : act())

  if (step === 'unpaid') {
    await untilStage(id, 'awaiting_payment')
    await here()
  }
  const paymentId = await shop.pay(id, byVpa(outcome)).catch(() => null)
  const paymentOf = async () =>
    paymentId ? await db.query.payments.findFirst({ where: eq(payments.id, paymentId) }) : null
  if (step === 'compensating' && ['cancelOrder', 'awaitPaymentEnd'].includes(at?.activity ?? ''))
    await until(async () => (await paymentOf())?.chargeSentAt) // while it is on its way
  else await until(async () => (await paymentOf())?.status !== 'pending')
  if (step === 'paid') await here()

  if (fulfil && (await statusOf()) === 'paid') await shop.post(`orders/${id}/fulfill`)
  else if (!(await isOver())) await shop.post(`orders/${id}/cancel`)
  const expected = isFulfilled({ step, at, trouble, outcome, fulfil }) ? 'fulfilled' : 'canceled'
  expect(await handleOf(id).result()).toBe(expected)
  expect(strikes.has(id)).toBe(false)

  await until(async () => !(await orderOf(id)).isCompensating)
  await expectAgreed(db, id)
  const { charges, transfers } = await saleOf(db, id)
  expect(charges.length).toBeLessThanOrEqual(1)
  const sent = transfers.filter(({ status }) => status !== 'unavailable')
  expect(sent.length).toBeLessThanOrEqual(1)
}

/** A command that came first stands. */
function isFulfilled({ step, trouble, outcome, fulfil }: Case): boolean {
  if (!fulfil || !isPaidBy(outcome)) return false
  return trouble === 'killed' || step === 'fulfilling'
}

const running = new Map<Case, Promise<void>>()

beforeAll(() => {
  use({ delayMs: DELAY_MS, activities: struck })
  const left = [...cases]
  const turns = new Map(cases.map((one) => [one, withResolvers()]))
  for (const [one, { promise }] of turns) running.set(one, promise)
  const work = async () => {
    for (let one = left.shift(); one; one = left.shift()) {
      const turn = turns.get(one)
      await run(one).then(turn?.resolve, turn?.reject)
    }
  }
  for (let i = 0; i < AT_ONCE; i++) void work()
})

function withResolvers() {
  let [resolve, reject] = [() => {}, (_: unknown) => {}]
  const promise = new Promise<void>((...both) => {
    ;[resolve, reject] = both
  })
  promise.catch(() => {}) // its own test says so
  return { promise, resolve, reject }
}

test.each(cases.map((one) => [nameOf(one), one] as const))(
  '%s',
  (_, one) => running.get(one),
  240_000,
)
