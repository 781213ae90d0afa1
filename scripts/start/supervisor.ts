import type { Running } from '../tools/processes.ts'

const REPEAT_MS = 1_000 // npm passes the terminal's Ctrl-C on, so it arrives twice

type Options = { stopOrder: string[]; onStopped: () => void }
export type Supervisor = ReturnType<typeof createSupervisor>

/**
 * Keeps processes, and stops all of them in order on a signal, or when a process ends by itself.
 */
export function createSupervisor({ stopOrder, onStopped }: Options) {
  const running = new Map<string, Running>()
  let stoppingAt: number | undefined
  const isStopping = () => stoppingAt !== undefined

  /**
   * Calls `onEnd` with the reason when the process ends by itself. The default `onEnd` stops
   * everything.
   */
  function keep<P extends Running>(
    name: string,
    child: P,
    onEnd: (reason: string) => unknown = (reason) => stop(1, reason),
  ): P {
    running.set(name, child)
    void child.exited.then((how) => {
      if (isStopping()) return
      running.delete(name)
      onEnd(`${name} has ended by itself (${how}).`)
    })
    return child
  }

  /** Stops all processes, and then ends this process too. Only the first call counts. */
  async function stop(code: number, reason?: string): Promise<void> {
    if (isStopping()) return
    stoppingAt = Date.now()
    if (reason) console.error(reason)
    for (const name of stopOrder) {
      if (running.has(name)) console.log(`Stopping ${name}`)
      await running.get(name)?.stop()
    }
    onStopped()
    process.exit(code)
  }

  /**
   * A second Ctrl-C does not wait: processes that still run see that this process is gone, and end.
   */
  function onSignal(): void {
    if (!stoppingAt) void stop(0)
    else if (Date.now() - stoppingAt > REPEAT_MS) process.exit(1)
  }

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  process.on('disconnect', onSignal) // scripts/run-ts.mjs was killed
  return { keep, stop, isStopping }
}
