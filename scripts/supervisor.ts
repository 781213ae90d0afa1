import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { killAfter, type Running, whenExited } from './processes.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const READY_LIMIT_MS = 60_000
const STOP_LIMIT_MS = 45_000 // above the worker's own grace
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

/** One of our own programs. Its output comes through line by line, under its name. */
export function startProgram(name: string, file: string, env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, ['--import', 'tsx', file], {
    cwd: root,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const print = (line: string) => console.log(`${name} | ${line}`)
  for (const input of [child.stdout, child.stderr])
    if (input) createInterface({ input }).on('line', print)
  const exited = whenExited(child)
  const stop = () => {
    child.kill('SIGTERM')
    return killAfter(child, exited, STOP_LIMIT_MS)
  }
  const ready = new Promise<void>((resolve, reject) => {
    const late = () => reject(new Error(`${name} is not ready after ${READY_LIMIT_MS / 1000} s.`))
    const limit = setTimeout(late, READY_LIMIT_MS)
    child.on('message', (message) => {
      if (message !== 'ready') return
      clearTimeout(limit)
      resolve()
    })
  })
  return { exited, stop, ready }
}
