const { FAULT_SEED } = process.env

/** Each test prints its seed. FAULT_SEED repeats the same faults at the same moments. */
export const seed = Number(FAULT_SEED || Math.floor(Math.random() * 2 ** 31))

/**
 * Mulberry32 returns numbers from 0 up to 1, and the same numbers for the same seed. A caller with
 * its own stream gets the same numbers whatever the other callers do meanwhile.
 */
export function createRandom(stream = 0): () => number {
  let state = (seed + Math.imul(stream, 0x9e3779b9)) | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Returns one of the items at random. */
export function oneOf<T>(random: () => number, all: readonly T[]): T {
  return all[Math.floor(random() * all.length)] as T
}
