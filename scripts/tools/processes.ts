import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { setTimeout } from 'node:timers/promises'

export type User = { uid: number; gid: number }

export type Running = {
  /** Resolves to words that say how the process ended. Never rejects. */
  exited: Promise<string>
  stop: () => Promise<void>
}

type Guarded = {
  logFile: string
  stopSignal?: 'INT' | 'TERM'
  stopLimitMs?: number
  user?: User | undefined
  env?: NodeJS.ProcessEnv
  removeAfter?: string // a folder to remove after the process has ended with code 0
}

/**
 * Stops the command when the guard's standard input ends: when this process closes the input, or is
 * gone, kill -9 included. So no command outlives the process that started it. The signal reaches
 * the command alone: each command has its own way to stop, and the terminal's Ctrl-C must not reach
 * all of them at once.
 */
const guard = `
exec 3<&0
"$@" 3<&- </dev/null &
command=$!
(read -r _ <&3; kill -s "$GUARD_SIGNAL" $command) 2>/dev/null &
watcher=$!
wait $command
code=$?
kill $watcher 2>/dev/null
[ $code -ne 0 ] || [ -z "$GUARD_REMOVE" ] || rm -rf "$GUARD_REMOVE"
exit $code`

export function spawnGuarded(command: string[], options: Guarded): Running {
  const { logFile, stopSignal = 'TERM', stopLimitMs = 20_000, user, removeAfter } = options
  const env = { ...process.env, ...options.env }
  const log = openSync(logFile, 'w', 0o600)
  const child = spawn('/bin/sh', ['-c', guard, 'guard', ...command], {
    ...user,
    cwd: '/',
    env: { ...env, GUARD_SIGNAL: stopSignal, GUARD_REMOVE: removeAfter },
    detached: true,
    stdio: ['pipe', log, log],
  })
  closeSync(log)
  child.stdin?.on('error', () => {}) // the child ended by itself, and `exited` says so
  const exited = whenExited(child)
  const stop = () => {
    child.stdin?.end()
    return killAfter(child, exited, stopLimitMs)
  }
  return { exited, stop }
}

export function whenExited(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message))
    child.on('close', (code, signal) => resolve(signal ?? `exit code ${code}`)) // after all output
  })
}

/**
 * Waits until a detached child ends. After `limitMs`, kills the child and the child's own children.
 */
export async function killAfter(child: ChildProcess, exited: Promise<string>, limitMs: number) {
  const stopped = new AbortController()
  const limit = setTimeout(limitMs, undefined, { signal: stopped.signal })
  const killGroup = () => child.pid && process.kill(-child.pid, 'SIGKILL')
  limit.then(killGroup).catch(() => {}) // aborted, or the child has just ended
  await exited
  stopped.abort()
}

type Starting = { name: string; process?: Running; logFile?: string; limitMs?: number }

/**
 * Calls `ask` until there is an answer. Throws an error with the reason if the process has ended or
 * the limit is reached.
 */
export async function waitUntilReady<T>(starting: Starting, ask: () => Promise<T>): Promise<T> {
  const { name, limitMs = 60_000, logFile } = starting
  const deadline = Date.now() + limitMs
  let ended = ''
  void starting.process?.exited.then((how) => {
    ended = `it ended (${how})`
  })
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!ended && Date.now() > deadline)
        ended = `no answer within ${limitMs / 1000} s (${reason(error)})`
      if (ended) throw new Error(`${name} is not there: ${ended}${tail(logFile)}`)
    }
    await setTimeout(50)
  }
}

/** The error of a connection that was refused at several addresses has a code, and no message. */
function reason(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException
  return message || code || `${error}`
}

/** Returns the end of a log, to be put after an error's message. */
export function tail(logFile: string | undefined): string {
  const lines = logFile ? readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-15) : []
  return lines.length > 0 ? `\n${lines.join('\n')}\n` : ''
}

/** Returns the command line of a process, to tell ours from a process that got its id later. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? ''
  }
}

/**
 * Listens for a moment. Port 0 resolves to a free port, and a taken port rejects with EADDRINUSE.
 */
export function tryPort(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

export function tryConnect(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host)
    socket.setTimeout(5_000, () => socket.destroy(new Error('timeout')))
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.destroy()
      resolve()
    })
  })
}
