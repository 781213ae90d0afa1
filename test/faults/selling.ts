import { setTimeout } from 'node:timers/promises'
import type { Operation } from './load.ts'
import { createRandom, oneOf } from './random.ts'

// These operations sell with orders and payment links. The number of an operation and the seed
// decide what happens to its order or link, and when.

type Random = () => number

const MOMENT_MS = 2_500 // the longest pause before a round of actions
const SHORTEST_MS = 800 // the shortest deadline of an order or link that may expire
const LONGEST_MS = 5_000

/** Each row has lists of payers who try to pay an order. The payers of one list pay at once. */
const payers: string[][][] = [
  [['1@upi']],
  [['fail@upi'], ['2@upi']],
  [['1@upi', '2@upi', 'fail@upi']],
  [['down@upi']],
  [['timeout@upi'], ['3@upi']],
  [['stuck@upi']],
  [],
]

type Verb = 'fulfill' | 'cancel' | 'refund'

/** Each plan has rounds of commands for an order. `paid`: the rounds begin after all payers end. */
const plans: { rounds: Verb[][]; paid?: true }[] = [
  { rounds: [['fulfill']], paid: true },
  { rounds: [['fulfill']], paid: true },
  { rounds: [['fulfill']], paid: true },
  { rounds: [['cancel']], paid: true },
  { rounds: [['cancel']] },
  { rounds: [['fulfill', 'cancel']], paid: true },
  { rounds: [['fulfill'], ['cancel']] },
  { rounds: [['refund', 'cancel']], paid: true },
  { rounds: [] },
  { rounds: [] },
]

/** Makes an order that is paid or not, and fulfilled, canceled, or too late for either. */
export const sell: Operation = async (client, n) => {
  const random = createRandom(n)
  const amount = 100 + n
  const paid = oneOf(random, payers)
  const plan = oneOf(random, plans)
  const isManual = random() < 0.2
  const reference = random() < 0.5 ? { reference: `order ${n}` } : {}
  // A stuck payment would never end without a deadline of its order.
  const isShort = random() < 0.35 || paid.flat().includes('stuck@upi')
  const id = await client.make('/api/v1/orders', () => {
    const end = isShort ? { fulfil_by: soon(random) } : {}
    return { amount, currency: 'INR', ...reference, ...end }
  })
  const named = reference.reference ?? id
  const made: string[] = []
  const paying = inRounds(random, paid, async (vpa) => {
    const capture_method = isManual ? 'manual' : 'automatic'
    const payment = await client.payFor(named, { amount, vpa, capture_method })
    if (!payment) return
    made.push(payment)
    const status = await client.untilMoved(payment)
    // A cancel of the order may come before this capture.
    if (status === 'authorized') await client.ask(`/api/v1/payments/${payment}/capture`, {})
  })
  const telling = (plan.paid ? paying : Promise.resolve()).then(() =>
    inRounds(random, plan.rounds, async (verb) => {
      if (verb !== 'refund') await client.ask(`/api/v1/orders/${id}/${verb}`, {})
      else await Promise.all(made.map((payment) => client.refund(payment, Math.ceil(amount / 3))))
    }),
  )
  client.later(Promise.all([paying, telling]).then(() => {}))
}

const LINK_PAYERS = ['1@upi', 'fail@upi', '2@upi', 'down@upi', 'timeout@upi', '3@upi']
const LINK_PAYERS_MAX = 5
const TRIES = 2 // per payer: another may be paying, or the first payment may fail

/** Makes a link that up to five payers pay at once, while it is canceled or expires. */
export const share: Operation = async (client, n) => {
  const random = createRandom(n)
  const isCanceled = random() < 0.4
  const isShort = random() < 0.4
  const count = Math.floor(random() * (LINK_PAYERS_MAX + 1))
  // A stuck payment ends only if its link is canceled.
  const vpas = isCanceled ? [...LINK_PAYERS, 'stuck@upi'] : LINK_PAYERS
  const id = await client.make('/api/v1/payment_links', () => ({
    amount: 100 + n,
    currency: 'INR',
    ...(isShort && { expires_at: soon(random) }),
  }))
  const payer = async () => {
    for (let n = 0; n < TRIES; n++) {
      await atAnyMoment(random)
      const paid = await client.ask(`/pay/${id}`, { method: 'upi', vpa: oneOf(random, vpas) })
      if ('id' in paid && (await client.untilMoved(paid.id)) === 'succeeded') return
    }
  }
  const cancel = async () => {
    await atAnyMoment(random)
    await client.ask(`/api/v1/payment_links/${id}/cancel`, {})
  }
  const all = Array.from({ length: count }, payer)
  client.later(Promise.all([...all, isCanceled && cancel()]).then(() => {}))
}

async function inRounds<T>(random: Random, rounds: T[][], use: (one: T) => Promise<void>) {
  for (const round of rounds) {
    await atAnyMoment(random)
    await Promise.all(round.map(use))
  }
}

function atAnyMoment(random: Random): Promise<void> {
  return setTimeout(random() * MOMENT_MS)
}

function soon(random: Random): string {
  const inMs = SHORTEST_MS + random() * (LONGEST_MS - SHORTEST_MS)
  return new Date(Date.now() + inMs).toISOString()
}
