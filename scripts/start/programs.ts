import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { killAfter, type Running, whenExited } from '../tools/processes.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const READY_LIMIT_MS = 60_000
const STOP_LIMIT_MS = 45_000 // above the worker's own grace period

const programs = { api: 'api/main.ts', worker: 'worker/main.ts' } as const

export type Program = Running & {
  pid: number
  /** Resolves to the port that the api listens on, or to 0 for the worker. */
  ready: Promise<number>
  /** Kills the program with -9, so the program cannot finish anything. */
  kill: () => Promise<void>
}

/** Starts the api or the worker as a process. `print` gets each line of the program's output. */
export function startProgram(
  name: keyof typeof programs,
  env: NodeJS.ProcessEnv,
  print: (line: string) => void,
  nodeOptions: string[] = [],
): Program {
  const child = spawn(process.execPath, [...nodeOptions, '--import', 'tsx', programs[name]], {
    cwd: root,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  for (const input of [child.stdout, child.stderr])
    if (input) createInterface({ input }).on('line', print)
  const exited = whenExited(child)
  const ready = new Promise<number>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`The ${name} is not ready: ${why}.`))
    const limit = setTimeout(() => fail(`no word of it in ${READY_LIMIT_MS} ms`), READY_LIMIT_MS)
    child.on('message', ({ port }: { port: number }) => {
      clearTimeout(limit)
      resolve(port)
    })
    void exited.then((how) => {
      clearTimeout(limit)
      fail(`it ended (${how})`)
    })
  })
  ready.catch(() => {}) // a caller may not wait for `ready`
  return {
    pid: child.pid ?? 0,
    exited,
    ready,
    stop() {
      child.kill('SIGTERM')
      return killAfter(child, exited, STOP_LIMIT_MS)
    },
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
