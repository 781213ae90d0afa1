const { FAULT_SEED } = process.env

/** Printed by each test: with FAULT_SEED set to it, the same faults come at the same moments. */
export const seed = Number(FAULT_SEED || Math.floor(Math.random() * 2 ** 31))

/** Mulberry32: numbers from 0 up to 1, the same ones for the same seed. */
export function createRandom(): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
