import { createServer, type Server } from 'node:http'
import type { Worker } from '@temporalio/worker'

/** Answers any request: 200 while all workers poll; 503 before, while they stop, and after. */
export function serveHealth(port: number, host: string, workers: () => Worker[]): Server {
  return createServer((_, response) => {
    const states = workers().map((worker) => worker.getState())
    const isPolling = states.length > 0 && states.every((state) => state === 'RUNNING')
    response.writeHead(isPolling ? 200 : 503, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify({ status: isPolling ? 'ok' : 'unavailable', workers: states }))
  }).listen(port, host)
}
