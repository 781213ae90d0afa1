import { setTimeout } from 'node:timers/promises'
import type { Merchant } from '../support/db.ts'

export type Body = { id: string; object: string; status: string } & Record<string, unknown>

/** A request under one Idempotency-Key, with each answer to it: an object or a refusal. */
export type Asked = {
  key: string
  path: string
  body: object
  answers: (Body | { refused: string })[]
  requests: number
}

const REQUEST_LIMIT_MS = 10_000
const PATIENCE_MS = 700_000 // busy machine; an activity of a killed worker is retried after 30 s
const REPEAT_MS = 300
const LOOK_EVERY_MS = 400
const ASKS_AGAIN = 0.1 // share of answered requests that an impatient client repeats

type Options = { url: string; merchant: Merchant; random: () => number }

/** These refusals count as answers, by the path of the request. */
const refusals: [path: RegExp, codes: string[]][] = [
  [/\/refunds$/, ['conflict', 'refund_exceeds_captured', 'insufficient_balance']],
  [/\/payouts$/, ['insufficient_balance']],
  [/\/(capture|cancel|complete|fail|fulfill)$/, ['conflict']],
  [/\/orders\/[^/]+\/cancel$/, ['insufficient_balance']],
  [/\/v1\/payments$/, ['order_payment_in_progress', 'order_already_paid', 'conflict']],
  [/^\/pay\//, ['payment_link_payment_in_progress', 'payment_link_not_active']],
  [/^\/webhooks/, ['event_id_reused']],
]

/**
 * Repeats an unanswered request under the same Idempotency-Key, as a merchant's real client does.
 * The client repeats after a 202 or a 503, takes some refusals as answers, and throws all others.
 */
export function createClient({ url, merchant, random }: Options) {
  const asked: Asked[] = []
  let answered = 0
  const headers = {
    'x-api-key': merchant.key,
    'x-api-secret': merchant.secret,
    'content-type': 'application/json',
  }

  function question(path: string, body: object): Asked {
    const one = { key: `load-${asked.length + 1}`, path, body, answers: [], requests: 0 }
    asked.push(one)
    return one
  }

  /** Sends one request. Keeps the answer, unless the request must be repeated. */
  async function send(one: Asked): Promise<{ status: number; body: Body }> {
    one.requests++
    const response = await fetch(url + one.path, {
      method: 'POST',
      headers: { ...headers, 'idempotency-key': one.key },
      body: JSON.stringify(one.body),
      signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
    })
    const { status } = response
    const body = (await response.json()) as Body & { error?: { code: string } }
    const code = body.error?.code
    if (status === 200 || status === 201 || isAccepted(one, status)) one.answers.push(body)
    else if (code && isAnswer(one, code)) one.answers.push({ refused: code })
    else if (status !== 202 && status !== 503 && code !== 'idempotency_key_in_use')
      throw new Refused(`${one.path}: ${status} ${JSON.stringify(body)}`)
    return { status, body }
  }

  async function untilAnswered(one: Asked): Promise<Asked['answers'][number]> {
    const before = one.answers.length
    const deadline = Date.now() + PATIENCE_MS
    for (;;) {
      await send(one).catch((error) => {
        if (error instanceof Refused) throw error // otherwise the connection failed
      })
      const answer = one.answers[before]
      if (answer) return answer
      if (Date.now() > deadline) throw new Error(`No answer to ${one.key} of ${one.path}`)
      await setTimeout(random() * REPEAT_MS)
    }
  }

  async function ask(path: string, body: object) {
    const one = question(path, body)
    const answer = await untilAnswered(one)
    if (random() < ASKS_AGAIN && isLast(one, answer)) await untilAnswered(one)
    answered++
    return answer
  }

  async function pay(input: object): Promise<string> {
    const made = await ask('/api/v1/payments', { currency: 'INR', method: 'upi', ...input })
    if ('refused' in made) throw new Error('No payment is refused')
    return made.id
  }

  const refund = (paymentId: string, amount: number) =>
    ask(`/api/v1/payments/${paymentId}/refunds`, { amount })

  const topUp = (amount: number) => ask('/api/v1/test/balance_topups', { currency: 'INR', amount })

  /** Returns null if the order cannot be paid now, or not any more. */
  async function payFor(order: string, input: object): Promise<string | null> {
    const body = { order_id: order, currency: 'INR', method: 'upi', ...input }
    const made = await ask('/api/v1/payments', body)
    return 'refused' in made ? null : made.id
  }

  /** Calls `body` again if the time in the last body passed before the object could be made. */
  async function make(path: string, body: () => object): Promise<string> {
    for (;;) {
      const made = await ask(path, body())
      if ('id' in made) return made.id
    }
  }

  /** Returns null if the balance does not cover the payout. */
  async function payOut(input: object): Promise<string | null> {
    const made = await ask('/api/v1/payouts', { currency: 'INR', ...input })
    return 'refused' in made ? null : made.id
  }

  /** Polls until the payment is no longer pending. */
  async function untilMoved(id: string): Promise<string> {
    const deadline = Date.now() + PATIENCE_MS
    while (Date.now() < deadline) {
      const signal = AbortSignal.timeout(REQUEST_LIMIT_MS)
      const found = await fetch(`${url}/api/v1/payments/${id}`, { headers, signal })
        .then(async (response) => (response.ok ? ((await response.json()) as Body) : null))
        .catch(() => null) // the connection failed
      if (found && found.status !== 'pending') return found.status
      await setTimeout(LOOK_EVERY_MS)
    }
    throw new Error(`${id} stays pending`)
  }

  const money = { pay, payFor, refund, topUp, payOut, make }
  return { asked, answered: () => answered, question, send, ask, ...money, untilMoved }
}

export type ShopClient = ReturnType<typeof createClient>

export function isCommand({ path }: Asked): boolean {
  return /\/(capture|cancel|complete|fail|fulfill)$/.test(path)
}

/** A 202 for an event means that the event is stored. A command with a 202 is not done yet. */
function isAccepted({ path }: Asked, status: number): boolean {
  return status === 202 && path.startsWith('/webhooks')
}

function isAnswer({ path, body }: Asked, code: string): boolean {
  if (code === 'invalid_request') return isTooLate(body)
  return refusals.some(([asked, codes]) => asked.test(path) && codes.includes(code))
}

/** Says whether a time in the body, once in the future, passed before the object could be made. */
function isTooLate(body: { fulfil_by?: string; expires_at?: string }): boolean {
  const until = body.fulfil_by ?? body.expires_at
  return until !== undefined && Date.parse(until) < Date.now()
}

/** A refusal frees its key, so a repeat may succeed. Only a payment's command stays refused. */
function isLast({ path }: Asked, answer: Asked['answers'][number]): boolean {
  return 'id' in answer || /\/payments\/[^/]+\/(capture|cancel)$/.test(path)
}

class Refused extends Error {}
