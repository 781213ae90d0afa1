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

/** Returns the model's state and outcomes for these ops, one after the other. */
function inOrder(before: State, ops: Op[], bps: number): Told {
  const state: State = JSON.parse(JSON.stringify(before))
  return { state, outcomes: ops.map((op) => apply(state, op, bps)) }
}

/**
 * Returns the model's answer for every order of the ops. `outcomes` always has the order of `ops`.
 */
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
 * Checks after each turn that the database agrees with the model. If the activities of a turn run
 * at once, the database must match one of their possible orders.
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
  'payments, orders, refunds and payouts, in turn or at once, never make or lose money',
  async () => {
    const property = fc.asyncProperty(history, ({ bps, turns }) => happens(turns, bps))
    const seed = FC_SEED ? { seed: Number(FC_SEED) } : {}
    const limit = { interruptAfterTimeLimit: TIMEOUT_MS * 0.8, markInterruptAsFailure: true }
    await fc.assert(property, { numRuns, ...seed, ...limit })
  },
  TIMEOUT_MS,
)
