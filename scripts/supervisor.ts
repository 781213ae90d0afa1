import type { Running } from './processes.ts'

const REPEAT_MS = 1_000 // npm passes the terminal's Ctrl-C on, so it arrives twice

type Options = { stopOrder: string[]; onStopped: () => void }

/** Holds what was started, and stops all of it, in order, on a signal or when one of it ends. */
export function createSupervisor({ stopOrder, onStopped }: Options) {
  const running = new Map<string, Running>()
  let stoppingAt: number | undefined

  function keep<P extends Running>(name: string, process: P): P {
    running.set(name, process)
    void process.exited.then((how) => stop(1, `${name} has ended by itself (${how}).`))
    return process
  }

  /** Ends this process too. Only the first call counts. */
  async function stop(code: number, reason?: string): Promise<void> {
    if (stoppingAt) return
    stoppingAt = Date.now()
    if (reason) console.error(reason)
    for (const name of stopOrder) {
      if (running.has(name)) console.log(`Stopping ${name}`)
      await running.get(name)?.stop()
    }
    onStopped()
    process.exit(code)
  }

  /** A second Ctrl-C does not wait: whatever still runs sees that we are gone, and ends. */
  function onSignal(): void {
    if (!stoppingAt) void stop(0)
    else if (Date.now() - stoppingAt > REPEAT_MS) process.exit(1)
  }

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  process.on('disconnect', onSignal) // scripts/start.mjs was killed
  return { keep, stop }
}
