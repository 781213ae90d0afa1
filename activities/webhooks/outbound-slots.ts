/** Waits for a free slot of `key` and returns the function that frees it. */
export type AcquireSlot = (key: string, signal: AbortSignal) => Promise<() => void>

type Slots = { taken: number; waiting: Set<() => void> }

/**
 * Lets at most `max` holders of a key run at a time. The others wait in the order in which they
 * came; a waiter whose signal aborts leaves the queue, and its promise rejects.
 */
export function createSlots(max: number): AcquireSlot {
  const slotsByKey = new Map<string, Slots>()

  function release(key: string, slots: Slots) {
    const [next] = slots.waiting
    if (next) return next() // The slot passes to the next waiter and stays taken.
    slots.taken--
    if (slots.taken === 0) slotsByKey.delete(key)
  }

  return async (key, signal) => {
    const slots = slotsByKey.get(key) ?? { taken: 0, waiting: new Set() }
    slotsByKey.set(key, slots)
    if (slots.taken < max) slots.taken++
    else await waitInLine(slots.waiting, signal)
    return () => release(key, slots)
  }
}

function waitInLine(waiting: Set<() => void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const start = () => {
      waiting.delete(start)
      signal.removeEventListener('abort', giveUp)
      resolve()
    }
    const giveUp = () => {
      waiting.delete(start)
      reject(signal.reason)
    }
    signal.addEventListener('abort', giveUp, { once: true })
    waiting.add(start)
  })
}
