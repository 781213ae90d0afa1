import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { testDb } from '../support/db.ts'
import { currencies, history, merchants, opsOf, type Turn } from './ledger-history.ts'
import { expectLawful } from './ledger-laws.ts'
import { apply } from './ledger-model.ts'
import { emptyState, type Op, ownerOf, type State } from './ledger-state.ts'
import { ledgerWorld } from './ledger-world.ts'

const { FC_SEED, FC_RUNS } = process.env
const numRuns = Number(FC_RUNS || 50)
const TIMEOUT_MS = 60_000 + numRuns * 6_000

const db = testDb()

type Told = { state: State; outcomes: string[] }

/** What the model says of these, one after the other. */
function inOrder(before: State, ops: Op[], bps: number): Told {
  const state: State = JSON.parse(JSON.stringify(before))
  return { state, outcomes: ops.map((op) => apply(state, op, bps)) }
}

/** Every order in which these can happen: the outcomes are always those of the ops as given. */
function inAnyOrder(before: State, ops: Op[], bps: number): Told[] {
  return permutations(ops.map((_, i) => i)).map((order) => {
    const { state, outcomes } = inOrder(
      before,
      order.map((i) => ops[i] as Op),
      bps,
    )
    return { state, outcomes: ops.map((_, i) => outcomes[order.indexOf(i)] as string) }
  })
}

function permutations(items: number[]): number[][] {
  if (items.length < 2) return [items]
  return items.flatMap((first) =>
    permutations(items.filter((item) => item !== first)).map((rest) => [first, ...rest]),
  )
}

/**
 * Whether the database says the same as the model after each turn, where a turn's activities were at
 * once: as one of the orders that they can have had.
 */
async function happens(turns: Turn[], bps: number): Promise<void> {
  const world = await ledgerWorld(db, bps)
  const owners = merchants.flatMap((merchant) => currencies.map((one) => ownerOf(merchant, one)))
  let state = emptyState(owners)
  for (const [n, turn] of turns.entries()) {
    const { atOnce, after } = opsOf(turn, state, n)
    const outcomes = await Promise.all(atOnce.map(world.run))
    const possible = inAnyOrder(state, atOnce, bps).filter((one) =>
      isDeepStrictEqual(one.outcomes, outcomes),
    )
    if (possible.length === 0)
      expect({ atOnce, outcomes }).toEqual({ atOnce, ...inOrder(state, atOnce, bps) })
    const seen = possible.length > 1 ? await world.look() : null
    const found = possible.find((one) => !seen || isDeepStrictEqual(one.state, seen))
    if (!found && seen) expect(seen).toEqual(possible[0]?.state)
    state = found?.state ?? state
    for (const op of after) expect([op, await world.run(op)]).toEqual([op, apply(state, op, bps)])
  }
  for (const merchantId of world.merchantIds) await expectLawful(db, merchantId)
  expect(await world.look()).toEqual(state)
}

test(
  'whatever happens to payments, orders, refunds and payouts, in turn or at once, no money is made or lost',
  async () => {
    const property = fc.asyncProperty(history, ({ bps, turns }) => happens(turns, bps))
    const seed = FC_SEED ? { seed: Number(FC_SEED) } : {}
    const limit = { interruptAfterTimeLimit: TIMEOUT_MS * 0.8, markInterruptAsFailure: true }
    await fc.assert(property, { numRuns, ...seed, ...limit })
  },
  TIMEOUT_MS,
)
