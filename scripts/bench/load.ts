import { setTimeout } from 'node:timers/promises'

/** Makes one payment, and resolves when its success has reached the merchant. */
export type Pay = () => Promise<void>

const ARRIVAL_LIMIT_MS = 180_000 // above the time of a payment that is left to the sweep

/** `of` waits for the arrival of a name. `tell` reports that the name has arrived. */
export function createArrivals() {
  const waiting = new Map<string, () => void>()

  async function of(name: string): Promise<void> {
    const limit = new AbortController()
    const arrived = new Promise<void>((resolve) => {
      waiting.set(name, resolve)
    })
    const tooLate = setTimeout(ARRIVAL_LIMIT_MS, undefined, { signal: limit.signal }).then(() => {
      throw new Error(`${name} has not arrived within ${ARRIVAL_LIMIT_MS / 1000} s`)
    })
    tooLate.catch(() => {})
    await Promise.race([arrived, tooLate])
    limit.abort()
    waiting.delete(name)
  }
  return { of, tell: (name: string) => waiting.get(name)?.() }
}

/** Returns the payments per second, with `inFlight` payments under way at any time. */
export async function measureThroughput(pay: Pay, count: number, inFlight: number) {
  let left = count
  const payOn = async () => {
    while (left-- > 0) await pay()
  }
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: inFlight }, payOn))
  return count / ((performance.now() - startedAt) / 1000)
}

/**
 * Returns the milliseconds that each payment took. A payment begins every 1/`perSecond`, however
 * long the others take.
 */
export async function measureLatency(pay: Pay, count: number, perSecond: number) {
  const startedAt = performance.now()
  const timed = Array.from({ length: count }, async (_, i) => {
    await setTimeout(startedAt + (i * 1000) / perSecond - performance.now())
    const begunAt = performance.now()
    await pay()
    return performance.now() - begunAt
  })
  return Promise.all(timed)
}

/** Returns the percentile by nearest rank. */
export function percentile(values: number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN
}

/** The median of an even count is the mean of the two values in the middle. */
export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length / 2
  const middle = sorted.slice(Math.ceil(half) - 1, Math.floor(half) + 1)
  return middle.reduce((sum, value) => sum + value, 0) / middle.length
}
