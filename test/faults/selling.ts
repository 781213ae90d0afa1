import { setTimeout } from 'node:timers/promises'
import type { Operation } from './load.ts'
import { createRandom, oneOf } from './random.ts'

// What is sold: orders, and payment links. What happens to one of them, and when, is chosen by its number
// from the seed.

type Random = () => number

const MOMENT_MS = 2_500 // within so long whatever is done to one of them is done
const SHORTEST_MS = 800 // of the time that one of them has, where it is to run out
const LONGEST_MS = 5_000

/** Who pays an order, or tries to: one list after the other, those of one list at once. */
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

/** What its merchant does with an order, in the same way; `paid`: once who pays has ended. */
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

/** An order that is paid or not, fulfilled, canceled, or too late for either. */
export const sell: Operation = async (client, n) => {
  const random = createRandom(n)
  const amount = 100 + n
  const paid = oneOf(random, payers)
  const plan = oneOf(random, plans)
  const isManual = random() < 0.2
  const reference = random() < 0.5 ? { reference: `order ${n}` } : {}
  // What is stuck would be so for ever.
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
    // Whoever cancels the order may be first.
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
const TRIES = 2 // of a payer, where somebody else is paying, or their own payment has failed

/** A link that up to five pay at once, while it is canceled, or its time runs out. */
export const share: Operation = async (client, n) => {
  const random = createRandom(n)
  const isCanceled = random() < 0.4
  const isShort = random() < 0.4
  const count = Math.floor(random() * (LINK_PAYERS_MAX + 1))
  // What is stuck needs somebody who cancels it.
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
