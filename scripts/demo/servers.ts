import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { killAfter, type Running, whenExited } from '../tools/processes.ts'

const STOP_LIMIT_MS = 90_000
const dev = fileURLToPath(new URL('../dev.ts', import.meta.url))

/**
 * Starts Remit as `npm start` does, and waits until Remit is ready. Remit sees by its IPC channel
 * when this process is gone.
 */
export async function startRemit(): Promise<Running> {
  console.log('Nothing runs here yet, so this starts Remit first, as npm start does.')
  const child = spawn(process.execPath, ['--import', 'tsx', dev], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const exited = whenExited(child)
  const running = {
    exited,
    stop() {
      child.kill('SIGTERM')
      return killAfter(child, exited, STOP_LIMIT_MS)
    },
  }
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', (output) => `${output}`.includes('Remit is ready') && resolve())
    void exited.then((how) => reject(new Error(`Remit could not be started: ${how}.`)))
  })
  return running
}

/**
 * Starts a merchant's server that answers with these statuses, one after the other, and then with
 * 200. Returns the URL of the server.
 */
export async function startFailingServer(answers: number[]): Promise<string> {
  const left = [...answers]
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(left.shift() ?? 200).end())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
