import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
const NPM_CHECK_MS = 500

/**
 * Runs node with these arguments, and hands it the signals that reach us. Resolves to its exit code.
 * A detached one does not hear the terminal's Ctrl-C by itself, and sees by its IPC channel that we
 * are gone.
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

/** Killed with -9, npm passes no signal on: what shows is that we have another parent. */
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
