import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export type Request = { path: string; headers: IncomingHttpHeaders; body: string }
type Reply = { status: number; headers?: Record<string, string>; body?: string }

/** Runs a merchant's server, which answers a POST as the test says and keeps every request. */
export function testEndpoint() {
  const endpoint = {
    url: '',
    requests: [] as Request[],
    answer: async (_: Request): Promise<Reply> => ({ status: 200 }),
  }
  const server = createServer(async (incoming, response) => {
    const received = await text(incoming).catch(() => null)
    if (received === null) return // the caller hung up in the middle of the body
    const request = { path: incoming.url ?? '', headers: incoming.headers, body: received }
    endpoint.requests.push(request)
    const { status, headers, body } = await endpoint.answer(request)
    response.writeHead(status, headers).end(body)
  })

  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    endpoint.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })
  return endpoint
}
