import { until } from './stack.ts'

/** A call waits at the gate until a test opens the gate. */
export function gate() {
  const it = { open: false, reached: 0 }
  async function pass(): Promise<void> {
    it.reached++
    await until(async () => it.open, 'the gate to open')
  }
  return Object.assign(it, {
    pass,
    isReached: () => until(async () => it.reached > 0, 'somebody at the gate'),
  })
}
