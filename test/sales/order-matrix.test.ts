import { eq } from 'drizzle-orm'
import type { Activities } from '../../activities/index.ts'
import { orders, payments } from '../../db/payments/schema.ts'
import { refunds } from '../../db/refunds/schema.ts'
import type { Provider } from '../../providers/provider.ts'
import { sandboxCharges, sandboxTransfers } from '../../providers/sandbox/schema.ts'
import { cancelOrder } from '../../workflows/index.ts'
import { gate } from '../support/gate.ts'
import { pause, until } from '../support/stack.ts'
import { expectAgreed, saleOf } from './sale-laws.ts'
import { byVpa, HOUR_MS, testSales } from './selling.ts'

/**
 * Each case cancels an order, or lets its deadline pass, at one step and with one payment outcome.
 * The order's money and its status must agree afterwards. The cases run at the same time, because
 * each case mostly waits. test/faults/order-killed kills a worker at these steps.
 */
const { db, openShop, use, handleOf, orderOf, untilStage } = testSales()

/** With this delay the sandbox decides no charge by itself before a test decides the charge. */
const NEVER_MS = 24 * HOUR_MS
const AT_ONCE = 24

const outcomes = ['test@upi', 'fail@upi', 'timeout@upi', 'down@upi'] as const
type Outcome = (typeof outcomes)[number]
const isPaidBy = (outcome: Outcome) => outcome !== 'fail@upi'

type Moment = 'before' | 'after'
/** If `At` is null, the trouble strikes while the workflow waits and no activity runs. */
type At = { activity: keyof Activities; moment: Moment } | null
type Step = 'unpaid' | 'charging' | 'deciding' | 'settling' | 'paid' | 'fulfilling' | 'compensating'
type Trouble = 'canceled' | 'too late'
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
      }
}

/** An order that is being compensated can't be fulfilled, and a second cancel changes nothing. */
function* casesWhileItIsUndone(): Iterable<Case> {
  const one = { step: 'compensating', trouble: 'canceled', outcome: 'test@upi' } as const
  for (const activity of undoing) yield { ...one, at: before(activity), fulfil: false }
}

const cases = [...casesWhileItIsSold(), ...casesWhileItIsUndone()]

function nameOf({ step, at, trouble, outcome, fulfil }: Case): string {
  const when = at ? ` (${at.moment} ${at.activity})` : ''
  return `${trouble} while ${step}${when}, paid by ${outcome}${fulfil ? ', fulfilled' : ''}`
}

type Sale = {
  case: Case
  act: () => Promise<unknown> // strikes once, when a workflow of the sale reaches `at`
  hasStruck: boolean
  deadline: ReturnType<typeof gate> // the saga learns its deadline after this gate opens
}
/** The keys are order ids. */
const sales = new Map<string, Sale>()

async function saleAt(id: string): Promise<[orderId: string, sale: Sale | undefined]> {
  const orderId = await orderIdOf(id)
  return [orderId, sales.get(orderId)]
}

async function orderIdOf(id: string): Promise<string> {
  if (id.startsWith('ord_')) return id
  const [refund] = await db.select().from(refunds).where(eq(refunds.id, id))
  const paymentId = refund?.paymentId ?? id
  const [payment] = await db.select().from(payments).where(eq(payments.id, paymentId))
  return payment?.orderId ?? ''
}

async function strike(sale: Sale | undefined, activity: string, moment: Moment): Promise<void> {
  const at = sale?.case.at
  if (!sale || sale.hasStruck || at?.activity !== activity || at.moment !== moment) return
  sale.hasStruck = true
  await sale.act()
}

type Call = (id: string, ...rest: unknown[]) => Promise<unknown>

/** Each activity strikes before it begins, or after it is done and before its result is known. */
function struck(real: Activities): Partial<Activities> {
  const names = [...Object.values(moments).flat(), ...undoing.map(before)].map((at) => at?.activity)
  const striking = (name: keyof Activities, call: Call): [string, Call] => [
    name,
    async (id, ...rest) => {
      const [, sale] = await saleAt(id)
      await strike(sale, name, 'before')
      const result = await call(id, ...rest)
      await strike(sale, name, 'after')
      return result
    },
  ]
  const asked = { ...real, ...deciding(real) }
  const calls = names.flatMap((name) => (name ? [striking(name, asked[name] as Call)] : []))
  return { ...Object.fromEntries(calls), takeUpOrder: (id) => takeUp(real, id) }
}

/** The sandbox decides a charge when `pollCharge` asks for the verdict, and not before. */
function deciding({ chargePayment, pollCharge }: Activities): Partial<Activities> {
  return {
    async chargePayment(id) {
      const charged = await chargePayment(id)
      return charged.status === 'pending' ? { ...charged, checkInMs: null } : charged
    },
    async pollCharge(id, ...rest) {
      const its = eq(sandboxCharges.paymentId, id)
      await db.update(sandboxCharges).set({ decidesAt: new Date() }).where(its)
      return pollCharge(id, ...rest)
    },
  }
}

/** If the case's trouble is "too late", the saga claims its order only after the deadline. */
async function takeUp({ takeUpOrder }: Activities, id: string) {
  const sale = sales.get(id)
  if (sale?.case.trouble !== 'too late') return takeUpOrder(id)
  await sale.deadline.pass()
  await db.update(orders).set({ fulfilBy: new Date() }).where(eq(orders.id, id))
  return takeUpOrder(id)
}

/** Decides every refund at once, but a charge only in the cases that strike while charging. */
function prompt(real: Provider): Partial<Provider> {
  return {
    async confirmCharge(ref, key) {
      try {
        return await real.confirmCharge(ref, key)
      } finally {
        const [charge] = await db.select().from(sandboxCharges).where(eq(sandboxCharges.id, ref))
        const [, sale] = await saleAt(charge?.paymentId ?? '')
        const at = { decidesAt: new Date() }
        if (sale?.case.step === 'charging')
          await db.update(sandboxCharges).set(at).where(eq(sandboxCharges.id, ref))
      }
    },
    async createRefund(request) {
      const its = eq(sandboxTransfers.objectId, request.refundId)
      try {
        await real.createRefund(request)
      } finally {
        await db.update(sandboxTransfers).set({ decidesAt: new Date() }).where(its)
      }
      return real.retrieveRefund(request.refundId, request.chargeRef)
    },
  }
}

async function run(one: Case): Promise<void> {
  const { step, at, trouble, outcome, fulfil } = one
  const shop = await openShop()
  const deadline = gate()
  const id = await shop.order({}, (orderId) => {
    sales.set(orderId, { case: one, act: () => acts[trouble](), hasStruck: at === null, deadline })
  })
  const statusOf = async () => (await orderOf(id)).status
  const isOver = async () => ['fulfilled', 'canceled'].includes(await statusOf())

  const acts: Record<Trouble, () => Promise<unknown>> = {
    /** The merchant and an operator cancel. The wait is short: both may wait for this activity. */
    async canceled() {
      const asked = shop.post(`orders/${id}/cancel`)
      handleOf(id)
        .executeUpdate(cancelOrder)
        .catch(() => {})
      await Promise.race([asked, pause(1_000)])
      if (step === 'compensating') await handleOf(id).cancel()
    },
    async 'too late'() {
      deadline.open = true
      await (step === 'fulfilling' ? pause(500) : until(isOver))
    },
  }

  if (step === 'unpaid') {
    if (trouble !== 'too late') await untilStage(id, 'awaiting_payment')
    await acts[trouble]()
  }
  const paymentId = await shop.pay(id, byVpa(outcome)).catch(() => null)
  const isOnItsWay = ['cancelOrder', 'awaitPaymentEnd'].includes(at?.activity ?? '')
  await until(async () => {
    const its = eq(payments.id, paymentId ?? '')
    const [payment] = await db.select().from(payments).where(its)
    return isOnItsWay ? payment?.chargeSentAt : payment?.status !== 'pending'
  })
  if (step === 'paid') await acts[trouble]()

  if (fulfil && (await statusOf()) === 'paid') {
    const asked = shop.post(`orders/${id}/fulfill`)
    await until(async () => (await saleOf(db, id)).commands.length > 0)
    deadline.open = true
    await asked
  } else if (!(await isOver())) await shop.post(`orders/${id}/cancel`)
  expect(await handleOf(id).result()).toBe(isFulfilled(one) ? 'fulfilled' : 'canceled')
  expect(sales.get(id)?.hasStruck).toBe(true)

  await expectAgreed(db, id)
  const { charges, transfers } = await saleOf(db, id)
  expect(charges.length).toBeLessThanOrEqual(1)
  const sent = transfers.filter(({ status }) => status !== 'unavailable')
  expect(sent.length).toBeLessThanOrEqual(1)
}

/** A `fulfill` that comes before the cancel or the deadline wins. */
function isFulfilled({ outcome, fulfil }: Case): boolean {
  return fulfil && isPaidBy(outcome)
}

const running = new Map<Case, Promise<void>>()

beforeAll(() => {
  use({ delayMs: NEVER_MS, activities: struck, wrap: prompt })
  const left = [...cases]
  const turns = new Map(cases.map((one) => [one, withResolvers()]))
  for (const [one, { promise }] of turns) running.set(one, promise)
  const work = async () => {
    for (let one = left.shift(); one; one = left.shift()) {
      const turn = turns.get(one)
      await run(one).then(turn?.resolve, turn?.reject)
    }
  }
  Promise.all(Array.from({ length: AT_ONCE }, work)).catch(() => {}) // `work` never rejects
})

function withResolvers() {
  let [resolve, reject] = [() => {}, (_: unknown) => {}]
  const promise = new Promise<void>((...both) => {
    ;[resolve, reject] = both
  })
  promise.catch(() => {}) // the case's test reports the error
  return { promise, resolve, reject }
}

test.each(cases.map((one) => [nameOf(one), one] as const))(
  '%s',
  (_, one) => running.get(one),
  120_000,
)
