import fc from 'fast-check'
import { testDb } from '../support/db.ts'
import { bankWorld, type Telling, type Told, ways } from '../transfers/bank-world.ts'

const { FC_SEED, FC_RUNS } = process.env
const numRuns = Number(FC_RUNS || 50)
const TIMEOUT_MS = 60_000 + numRuns * 6_000
const INVOICES = 3

const db = testDb()

const payment = fc.record({
  invoice: fc.nat(INVOICES - 1),
  amount: fc.integer({ min: 1, max: 100 }),
})
/** `resolved` finds the payment of a telling from `n` when the turn comes. */
const telling = fc.record({
  n: fc.nat(1_000),
  way: fc.constantFrom(...ways),
  byNumber: fc.boolean(),
  other: fc.constantFrom(null, null, null, null, 'amount' as const, 'invoice' as const),
})
/** A turn is one telling, or several at once. Any of several may come first. */
const turn = fc.oneof(
  { arbitrary: fc.array(telling, { minLength: 1, maxLength: 1 }), weight: 3 },
  { arbitrary: fc.array(telling, { minLength: 2, maxLength: 5 }), weight: 1 },
)
const history = fc.record({
  owed: fc.array(fc.integer({ min: 1, max: 300 }), { minLength: INVOICES, maxLength: INVOICES }),
  payments: fc.array(payment, { minLength: 1, maxLength: 15 }),
  turns: fc.oneof(
    fc.array(turn, { minLength: 5, maxLength: 40, size: 'max' }),
    fc.array(fc.tuple(telling), { minLength: 5, maxLength: 40, size: 'max' }), // no two at once
  ),
})
type History = typeof history extends fc.Arbitrary<infer T> ? T : never

/**
 * The model of a bank: `kept` holds Remit's id of each payment that has arrived. `applied` lists
 * the payments that count, the first one first.
 */
type State = { kept: Map<number, string>; applied: number[] }

/** Returns the status and the sums of an invoice after these amounts have arrived. */
function sumOf(owed: number, amounts: number[]) {
  const total = amounts.reduce((sum, each) => sum + each, 0)
  const status = total >= owed ? 'paid' : total > 0 ? 'partially_paid' : 'sent'
  return { status, amount_paid: total, amount_overpaid: Math.max(0, total - owed) }
}

/** Returns the sums of the emitted events if these amounts arrive one after the other. */
function tellingOf(owed: number, amounts: number[]) {
  const sums = amounts.map((_, n) => sumOf(owed, amounts.slice(0, n + 1)))
  const paidAt = sums.findIndex(({ status }) => status === 'paid')
  return paidAt < 0 ? sums : sums.slice(0, paidAt + 1)
}

/**
 * Only a payment that arrived in an earlier turn can arrive with other content. The first arrival
 * sets the content.
 */
function resolved({ kept }: State, turn: Telling[], count: number): Telling[] {
  return turn.map(({ n, other, ...rest }) => {
    const which = n % count
    return { n: which, other: kept.has(which) ? other : null, ...rest }
  })
}

type Done = { asked: Telling; told: Told }

/** Checks the outcomes of one turn for payment `n`, and adds them to the state. */
function expectOutcomes(state: State, n: number, done: Done[]): void {
  const known = state.kept.get(n)
  const of = (outcome: string) => done.filter(({ told }) => told.outcome === outcome)
  const told = done.filter(({ asked }) => asked.way !== 'apply')
  const refused = told.filter(({ asked }) => asked.other)
  const taken = told.filter(({ asked }) => !asked.other)
  expect(of('event_id_reused')).toEqual(refused)
  expect(of('new')).toHaveLength(known === undefined && taken.length > 0 ? 1 : 0)
  expect(of('new').length + of('repeat').length).toBe(taken.length)
  expect(of('applied')).toHaveLength(known === undefined ? 0 : done.length - told.length)

  const id = known ?? of('new')[0]?.told.id
  for (const one of taken) expect(one.told.id).toBe(id)
  if (id) state.kept.set(n, id)
  const isApplied = taken.some(({ asked }) => asked.way === 'sync' || asked.way === 'take')
  const counts = isApplied || of('applied').length > 0
  if (counts && !state.applied.includes(n)) state.applied.push(n)
}

type World = Awaited<ReturnType<typeof bankWorld>>

/**
 * Checks that each total is emitted once, up to the first total that pays the invoice, in any order
 * of arrival.
 */
async function expectTelling(world: World, n: number, owed: number, amounts: number[]) {
  const bodies = (await world.toldAt(n)).map(({ type, data }) => ({ type, ...data.object }))
  const { status, amount_paid } = sumOf(owed, amounts)
  const paid = bodies.filter(({ type }) => type === 'invoice.paid')
  expect(paid).toEqual(status === 'paid' ? bodies.slice(-1) : [])
  expect(paid).toHaveLength(status === 'paid' ? 1 : 0)
  expect(new Set(bodies.map((each) => each.amount_paid)).size).toBe(bodies.length)
  for (const body of bodies) {
    expect(body).toMatchObject(sumOf(owed, [body.amount_paid]))
    expect(body.type).toBe(`invoice.${body.status}`)
  }
  if (status === 'paid') return
  expect(bodies).toHaveLength(amounts.length)
  expect(bodies.at(-1)?.amount_paid ?? 0).toBe(amount_paid)
}

/** Checks every emitted event. The events are known only if nothing happened at once. */
async function expectOrder(world: World, n: number, owed: number, amounts: number[]) {
  const bodies = (await world.toldAt(n)).map(({ data }) => data.object)
  expect(bodies).toMatchObject(tellingOf(owed, amounts))
}

async function happens({ owed, payments, turns }: History): Promise<void> {
  const world = await bankWorld(db, owed, payments)
  const state: State = { kept: new Map(), applied: [] }
  const appliedTo = (n: number) =>
    state.applied.flatMap((i) => (payments[i]?.invoice === n ? [payments[i].amount] : []))
  const eachInvoice = async (check: (n: number, due: number, amounts: number[]) => unknown) => {
    for (const [n, due] of owed.entries()) await check(n, due, appliedTo(n))
  }
  const expectSums = () =>
    eachInvoice(async (n, due, amounts) =>
      expect(await world.invoiceAt(n)).toEqual(sumOf(due, amounts)),
    )

  for (const turn of turns) {
    const asked = resolved(state, turn, payments.length)
    const told = await Promise.all(asked.map((one) => world.run(one, state.kept.get(one.n))))
    const done = asked.map((one, i) => ({ asked: one, told: told[i] as Told }))
    for (const n of new Set(asked.map((one) => one.n))) {
      const its = done.filter((one) => one.asked.n === n)
      expectOutcomes(state, n, its)
    }
    await expectSums()
  }
  const waiting = [...state.kept.keys()].filter((n) => !state.applied.includes(n)).reverse()
  for (const n of waiting) await world.apply(state.kept.get(n))
  state.applied.push(...waiting)
  await expectSums()
  await eachInvoice((...its) => expectTelling(world, ...its))
  const inTurn = turns.every(({ length }) => length === 1)
  if (inTurn) await eachInvoice((...its) => expectOrder(world, ...its))
  expect(await world.keptIds()).toEqual([...state.kept.values()].sort())
}

test(
  'an invoice is the sum of its payments, in any order and with any repeats',
  async () => {
    const property = fc.asyncProperty(history, happens)
    const seed = FC_SEED ? { seed: Number(FC_SEED) } : {}
    const limit = { interruptAfterTimeLimit: TIMEOUT_MS * 0.8, markInterruptAsFailure: true }
    await fc.assert(property, { numRuns, ...seed, ...limit })
  },
  TIMEOUT_MS,
)
