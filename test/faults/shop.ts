import { waitUntilReady } from '../../scripts/tools/processes.ts'
import { addMerchant, type Merchant } from '../support/db.ts'
import type { Request, testEndpoint } from '../support/endpoint.ts'
import { pause } from '../support/stack.ts'
import { createClient } from './client.ts'
import { type Operation, startLoad } from './load.ts'
import { createRandom, seed } from './random.ts'
import type { Remit } from './remit.ts'

const FAILURES_MAX = 2 // per event, with attempts to spare, so that every delivery ends
const ANSWER_MAX_MS = 50
const POSTS_LIMIT_MS = 120_000

/**
 * Seconds between attempts. There are far more attempts than the shop refuses, because an attempt
 * also fails when a busy machine takes longer than the 10 s that a POST may last.
 */
export const retrySchedule = [1, 1, 1, ...Array<number>(9).fill(2)]

/** `at` is a time on a clock that no test sets. `again`: the event got a 200 before. */
type Post = Request & { event: string; at: number; again: boolean; status?: number }

/**
 * Makes a merchant whose server fails half of all posts: none, one or two of each event. Each test
 * has its own shop and counts what happens to that shop.
 */
export async function openShop(remit: Remit, endpoint: ReturnType<typeof testEndpoint>) {
  const merchant = await addMerchant(remit.db())
  const random = createRandom()
  const client = createClient({ url: remit.url(), merchant, random })
  const path = `/${merchant.id}`
  const posts: Post[] = []
  const accepted = new Set<string>()
  const failuresLeft = new Map<string, number>()
  const held = new Map<number, Promise<void>>() // by the number of the post

  endpoint.answer = async (request) => {
    if (request.path !== path) return { status: 200 }
    const event = `${request.headers['webhook-id']}`
    const post: Post = { ...request, event, at: performance.now(), again: accepted.has(event) }
    posts.push(post)
    await (held.get(posts.length) ?? pause(random() * ANSWER_MAX_MS))
    const left = failuresLeft.get(event) ?? Math.floor(random() * (FAILURES_MAX + 1))
    failuresLeft.set(event, left - 1)
    post.status = left > 0 ? 503 : 200
    if (post.status === 200) accepted.add(event)
    return { status: post.status }
  }

  /** Resolves when that many posts have come in. */
  function received(n: number): Promise<void> {
    return waitUntilReady({ name: `Post ${n}`, limitMs: POSTS_LIMIT_MS }, async () => {
      if (posts.length < n) throw new Error(`${posts.length} have come in`)
    })
  }

  /** Resolves when that many more posts have come in; the last is answered once `release` is called. */
  async function holdPost(more: number): Promise<{ release: () => void }> {
    const n = posts.length + more
    let release = () => {}
    const released = new Promise<void>((go) => {
      release = go
    })
    held.set(n, released)
    await received(n)
    return { release }
  }

  function load(count: number, how: { operations?: Operation[]; betweenMs?: number } = {}) {
    const load = startLoad({ client, random, count, ...how })
    load.done.catch((error) => process.stdout.write(`${error}\n${remit.lastLines()}\n`))
    return load
  }

  process.stdout.write(`FAULT_SEED=${seed} ${expect.getState().currentTestName}\n`)
  await addShopEndpoint(remit.url(), merchant, new URL(path, endpoint.url).href)
  return { remit, merchant, random, client, posts, holdPost, received, load }
}

export type Shop = Awaited<ReturnType<typeof openShop>>

async function addShopEndpoint(api: string, { key, secret }: Merchant, url: string): Promise<void> {
  const response = await fetch(`${api}/api/v1/webhook_endpoints`, {
    method: 'POST',
    headers: { 'x-api-key': key, 'x-api-secret': secret, 'content-type': 'application/json' },
    body: JSON.stringify({ url, retry_schedule: retrySchedule }),
  })
  expect(response.status).toBe(201)
}
