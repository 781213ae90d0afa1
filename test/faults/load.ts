import { setTimeout } from 'node:timers/promises'
import { until } from '../support/stack.ts'
import { bill } from './billing.ts'
import type { ShopClient } from './client.ts'
import { sell, share } from './selling.ts'

/**
 * An operation is something that a merchant does, in any number of requests. `n` counts the
 * operations. Work that waits for the worker continues in `later`, during the next operation.
 */
export type Operation = (
  client: ShopClient & { later: (work: Promise<void>) => void },
  n: number,
) => Promise<void>

/** Makes payments from these sources in turn. */
function payFrom(sources: string[]): Operation {
  return async (client, n) => {
    await client.pay({ amount: 100 + n, vpa: sources[n % sources.length] })
  }
}

/** Three of six payments meet trouble: a decline, a provider that is away, and a lost answer. */
export const pay = payFrom(['1@upi', '2@upi', 'fail@upi', '3@upi', 'down@upi', 'timeout@upi'])

const MANUAL_SOURCES = ['1@upi', 'down@upi', 'timeout@upi', 'fail@upi', '2@upi']

/** Each row has the commands for an authorized payment. If there are two, one gets a conflict. */
const commands: [verb: string, body: object][][] = [
  [['capture', {}]],
  [['capture', { amount: 60 }]],
  [['cancel', {}]],
  [
    ['capture', { amount: 70 }],
    ['cancel', {}],
  ],
]

/** Makes a payment and, once authorized, captures it in full or in part, or cancels it. */
const payManually: Operation = async (client, n) => {
  const turn = turnOf(n)
  const vpa = MANUAL_SOURCES[turn % MANUAL_SOURCES.length]
  const id = await client.pay({ amount: 100 + n, vpa, capture_method: 'manual' })
  client.later(tell(client, id, commands[turn % commands.length] ?? []))
}

async function tell(client: ShopClient, id: string, told: (typeof commands)[number]) {
  await client.untilMoved(id) // each command for a declined payment gets a conflict
  await Promise.all(told.map(([verb, body]) => client.ask(`/api/v1/payments/${id}/${verb}`, body)))
}

/** A refund to `norefund` fails, and a refund to `returned` comes back later. */
const REFUNDED_SOURCES = [
  '1@upi',
  'down@upi',
  'norefund@upi',
  'timeout@upi',
  'returned@upi',
  'fail@upi',
  '2@upi',
]

/** Each plan refunds parts of a payment at once. Some parts are too much, alone or together. */
const refundPlans: ((amount: number) => number[])[] = [
  (amount) => [amount],
  (amount) => [Math.ceil(amount / 3)],
  (amount) => [Math.ceil(amount / 2), Math.ceil(amount / 3), Math.ceil(amount / 3)],
  (amount) => [amount + 1],
]

const payAndRefund: Operation = async (client, n) => {
  const turn = turnOf(n)
  const amount = 100 + n
  const vpa = REFUNDED_SOURCES[turn % REFUNDED_SOURCES.length]
  const parts = refundPlans[turn % refundPlans.length]?.(amount) ?? []
  const id = await client.pay({ amount, vpa })
  client.later(
    client.untilMoved(id).then(async () => {
      await Promise.all(parts.map((part) => client.refund(id, part)))
    }),
  )
}

const bank = { type: 'bank_account', bank_code: 'HDFC0000123', holder_name: 'Asha Rao' }
const vpas = ['1@upi', 'fail@upi', 'down@upi', 'timeout@upi', 'returned@upi', '2@upi']
const DESTINATIONS = [
  ...vpas.map((vpa) => ({ type: 'vpa', vpa })),
  { ...bank, account_number: '000123456789' },
  { ...bank, account_number: '000111111116' }, // no_account
]

/** Each plan has lists of commands for a payout. The commands of one list are sent at once. */
const payoutPlans: string[][][] = [
  [],
  [['cancel']],
  [['complete']],
  [['cancel', 'complete']],
  [['fail']],
  [['complete'], ['fail']],
  [['cancel'], ['fail', 'cancel']],
]

const payOut: Operation = async (client, n) => {
  const turn = turnOf(n)
  const destination = DESTINATIONS[turn % DESTINATIONS.length]
  const plan = payoutPlans[turn % payoutPlans.length] ?? []
  await client.topUp(80 + n) // payments cover the rest, most of the time
  const id = await client.payOut({ amount: 100 + n, destination })
  if (id) client.later(tellPayout(client, id, plan))
}

async function tellPayout(client: ShopClient, id: string, plan: string[][]): Promise<void> {
  for (const verbs of plan)
    await Promise.all(
      verbs.map((verb) => {
        const path = verb === 'cancel' ? 'payouts' : 'test/payouts'
        return client.ask(`/api/v1/${path}/${id}/${verb}`, {})
      }),
    )
}

/** These are all operations that a merchant does. */
export const mixed = [pay, payManually, payAndRefund, payOut, sell, share, bill]

/** Returns how often each operation has had its turn. */
function turnOf(n: number): number {
  return Math.floor(n / mixed.length)
}

const CLIENTS = 5
const BETWEEN_MS = 500

type Options = {
  client: ShopClient
  random: () => number
  count: number
  operations?: Operation[]
  betweenMs?: number // the longest pause of a client between two operations
}

/** Runs a few clients at once. Each client does one operation after the other. */
export function startLoad(options: Options) {
  const { client, random, count, operations = [pay], betweenMs = BETWEEN_MS } = options
  const left: Promise<void>[] = []
  const later = (work: Promise<void>) => {
    work.catch(() => {}) // `done` throws the error
    left.push(work)
  }

  let next = 0
  async function run(): Promise<void> {
    while (next < count) {
      const n = next++
      await operations[n % operations.length]?.({ ...client, later }, n)
      await setTimeout(random() * betweenMs)
    }
  }
  const done = Promise.all(Array.from({ length: CLIENTS }, run)).then(() => Promise.all(left))
  /** Resolves when that many requests have been answered. */
  const reached = (n: number) =>
    Promise.race([until(async () => client.answered() >= n, `${n} answers`), done])
  done.catch(() => {}) // a later `await` still gets the error
  return { done, reached }
}

export type Load = ReturnType<typeof startLoad>
