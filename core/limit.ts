import { setTimeout } from 'node:timers/promises'

/**
 * Rejects if `calling` takes longer than `limitMs`. The call is not canceled, and may end later.
 */
export async function withinLimit<T>(limitMs: number, calling: Promise<T>): Promise<T> {
  const timer = new AbortController()
  const limit = setTimeout(limitMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`There was no answer within ${limitMs} ms`)
  })
  try {
    return await Promise.race([calling, limit])
  } finally {
    timer.abort()
    calling.catch(() => {})
    limit.catch(() => {})
  }
}
