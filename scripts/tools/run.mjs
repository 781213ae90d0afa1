import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
const NPM_CHECK_MS = 500

/**
 * Runs node with `args`, and passes the signals that reach this process on to node. Resolves to
 * node's exit code. The terminal's Ctrl-C does not reach a detached child directly. A detached
 * child sees by its IPC channel that this process is gone.
 */
export function run(args, { detached = false } = {}) {
  const stdio = detached ? ['inherit', 'inherit', 'inherit', 'ipc'] : 'inherit'
  const child = spawn(process.execPath, args, { cwd: root, detached, stdio })
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  stopWithoutNpm(child)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code) => resolve(code ?? 1))
  })
}

/** An npm that is killed with -9 passes no signal on, but this process then has another parent. */
function stopWithoutNpm(child) {
  if (!process.env.npm_lifecycle_event) return
  const npm = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === npm) return
    clearInterval(timer)
    child.kill('SIGTERM')
  }, NPM_CHECK_MS)
  timer.unref()
}
