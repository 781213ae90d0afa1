import { setTimeout } from 'node:timers/promises'
import type { Operation } from './load.ts'
import { createRandom, oneOf } from './random.ts'

const ROUTES = ['/webhooks/payments', '/webhooks-sync/payments']
const EVENTS_MAX = 4 // per invoice
const TIMES_MAX = 3 // per event
const MOMENT_MS = 1_500 // all events are sent within this time
const NUMBERS_APART = 10_000 // Remit numbers fewer invoices than this after one of ours

/**
 * Makes an invoice that up to four events pay: not at all, in part, in full, or too much. Each
 * event is sent up to three times, over either route. Some are sent once more with another amount.
 */
export const bill: Operation = async (client, n) => {
  const random = createRandom(n)
  const amount = 100 + n
  const number = random() < 0.5 ? { number: (n + 1) * NUMBERS_APART } : {}
  const invoice = { amount, currency: 'INR', ...number }
  const id = await client.make('/api/v1/invoices', () => invoice)
  const tell = async (event: { event_id: string; amount: number }) => {
    const invoice_id = number.number && random() < 0.5 ? number.number : id
    await setTimeout(random() * MOMENT_MS)
    await client.ask(oneOf(random, ROUTES), { invoice_id, ...event })
  }
  const told: Promise<void>[] = []
  const events = Math.floor(random() * (EVENTS_MAX + 1))
  for (let i = 1; i <= events; i++) {
    const event = {
      event_id: `event ${n}.${i}`,
      amount: Math.ceil(amount / oneOf(random, [1, 2, 3])),
    }
    const times = 1 + Math.floor(random() * TIMES_MAX)
    for (let time = 0; time < times; time++) told.push(tell(event))
    if (random() < 0.2) told.push(tell({ ...event, amount: event.amount + 1 }))
  }
  client.later(Promise.all(told).then(() => {}))
}
