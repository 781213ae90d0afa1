import { setTimeout } from 'node:timers/promises'
import type { Merchant } from '../db.ts'
import { until } from '../stack.ts'

type Body = { id: string; object: string } & Record<string, unknown>
type Ask = (path: string, body: object) => Promise<Body>

/** Something that a merchant does, in as many requests as it takes. `n` counts the operations. */
export type Operation = (ask: Ask, n: number) => Promise<void>

/** What one Idempotency-Key was used for, and each answer that it got. */
export type Asked = { key: string; path: string; answers: Body[]; requests: number }

/** Payments of these sources in turn. */
export function payFrom(sources: string[]): Operation {
  return async (ask, n) => {
    const vpa = sources[n % sources.length]
    await ask('/api/v1/payments', { amount: 100 + n, currency: 'INR', method: 'upi', vpa })
  }
}

/** Of six payments one is declined, one meets a provider that is away, and one an answer that is lost. */
export const pay = payFrom(['1@upi', '2@upi', 'fail@upi', '3@upi', 'down@upi', 'timeout@upi'])

const CLIENTS = 5
const REQUEST_LIMIT_MS = 10_000
const PATIENCE_MS = 40_000
const BETWEEN_MS = 500
const REPEAT_MS = 300
const ASKS_AGAIN = 0.1 // of all requests that were answered, as of an impatient client

type Options = {
  url: string
  merchant: Merchant
  random: () => number
  count: number
  operations?: Operation[]
  betweenMs?: number // the longest pause of a client between two operations
}

/**
 * A few clients at once, who repeat what was not answered under the same Idempotency-Key, as a
 * merchant's real one does. A 503 is to be repeated; any other refusal fails the load.
 */
export function startLoad(options: Options) {
  const { url, merchant, random, count, operations = [pay], betweenMs = BETWEEN_MS } = options
  const asked: Asked[] = []
  let answered = 0
  const headers = { 'x-api-key': merchant.key, 'x-api-secret': merchant.secret }

  async function request({ key, path }: Asked, body: object): Promise<Body | null> {
    const response = await fetch(url + path, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
    })
    const answer = (await response.json()) as Body & { error?: { code: string } }
    if (response.status === 202) return null // a command that is still under way
    if (response.ok) return answer
    if (response.status === 503 || answer.error?.code === 'idempotency_key_in_use') return null
    throw new Refused(`${path}: ${response.status} ${JSON.stringify(answer)}`)
  }

  async function untilAnswered(one: Asked, body: object): Promise<Body> {
    const deadline = Date.now() + PATIENCE_MS
    for (;;) {
      one.requests++
      const answer = await request(one, body).catch((error) => {
        if (error instanceof Refused) throw error
        return null // no connection, or one that broke
      })
      if (answer) {
        one.answers.push(answer)
        return answer
      }
      if (Date.now() > deadline) throw new Error(`No answer to ${one.key} of ${one.path}`)
      await setTimeout(random() * REPEAT_MS)
    }
  }

  const ask: Ask = async (path, body) => {
    const one = { key: `load-${asked.length + 1}`, path, answers: [], requests: 0 }
    asked.push(one)
    const answer = await untilAnswered(one, body)
    if (random() < ASKS_AGAIN) await untilAnswered(one, body)
    answered++
    return answer
  }

  let next = 0
  async function runClient(): Promise<void> {
    while (next < count) {
      const n = next++
      await operations[n % operations.length]?.(ask, n)
      await setTimeout(random() * betweenMs)
    }
  }
  const done = Promise.all(Array.from({ length: CLIENTS }, runClient))
  /** Resolves when that many requests have been answered. */
  const reached = (n: number) =>
    Promise.race([until(async () => answered >= n, `${n} answers`), done])
  done.catch(() => {}) // for who waits for it later
  return { asked, done, reached }
}

export type Load = ReturnType<typeof startLoad>

class Refused extends Error {}
