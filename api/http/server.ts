import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import type { Log } from '../../log.ts'
import { answerBadAddress, answerUnreadable, requireHost } from './unreadable-requests.ts'

type Fetch = (request: Request, env: object) => Response | Promise<Response>
type Options = {
  log: Log
  hostname: string
  port: number // 0: any free port
  stopping: AbortSignal // after the abort, each answer is the last on its connection
  onListening: (port: number) => void
  receivingMs?: number // the limit for receiving a request; the head has half of this time
}

const IDLE_CHECK_MS = 50
const RECEIVING_MS = 30_000 // Node's own limit for each silent connection is five minutes

/**
 * Listens until `stop` is called. `stop` resolves when every request that has come in is answered,
 * or has ended without its caller. A kept-alive connection does not hold `stop` up.
 */
export function listen(
  fetch: Fetch,
  { log, hostname, port, stopping, onListening, receivingMs = RECEIVING_MS }: Options,
) {
  let underWay = 0
  let idle = () => {}

  const answer: Fetch = async (request, env) => {
    underWay++
    try {
      const response = await fetch(request, env)
      if (stopping.aborted) response.headers.set('connection', 'close')
      return response
    } finally {
      underWay--
      if (underWay === 0) idle()
    }
  }

  const refuse = answerBadAddress(log)
  const listener = getRequestListener(answer, { hostname, errorHandler: refuse })
  const serverOptions = {
    requestTimeout: receivingMs,
    headersTimeout: receivingMs / 2,
    connectionsCheckingInterval: receivingMs / 6,
    requireHostHeader: false, // Node's own refusal has no body
  }
  const server = createServer(serverOptions, requireHost(listener, log))
  server.maxHeadersCount = 0 // Node drops headers beyond this number. The size is limited anyway.
  answerUnreadable(server, log)
  server.listen(port, hostname, () => onListening((server.address() as AddressInfo).port))
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })

  /** Node does not count a connection as idle before the first byte has come in. */
  function closeIdle(): void {
    server.closeIdleConnections()
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
  }

  async function stop(): Promise<void> {
    const closed = new Promise((resolve) => server.close(resolve))
    const closing = setInterval(closeIdle, IDLE_CHECK_MS)
    await closed
    clearInterval(closing)
    if (underWay > 0)
      await new Promise<void>((resolve) => {
        idle = resolve
      })
  }
  return { stop, underWay: () => underWay }
}
