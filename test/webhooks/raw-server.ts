import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'

/** Gets each whole request's socket, and the request's number on this connection, from 1. */
type Respond = (socket: net.Socket, nth: number) => unknown

/** Runs merchant servers on loopback. The test writes every byte of their answers. */
export function testRawServers() {
  const cleanups: (() => void)[] = []
  afterEach(() => {
    for (const cleanup of cleanups.splice(0)) cleanup()
  })

  return async function listen(respond: Respond) {
    const seen = { url: '', bodies: [] as string[], connections: 0, closed: 0 }
    const sockets = new Set<net.Socket>()
    const server = net.createServer((socket) => {
      seen.connections++
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => seen.closed++)
      let text = ''
      let nth = 0
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1')
        const body = bodyOf(text)
        if (body === null) return
        text = ''
        seen.bodies.push(body)
        respond(socket, ++nth)
      })
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    cleanups.push(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    seen.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    return seen
  }
}

/** Returns null until the whole request has arrived. */
function bodyOf(text: string): string | null {
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const body = rest.join('\r\n\r\n')
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN)
  return body.length === length ? body : null
}

/** Returns the bytes of an answer with these header lines and no body. */
export function emptyAnswer(statusLine: string, ...headers: string[]): string {
  return [`HTTP/1.1 ${statusLine}`, ...headers, 'content-length: 0', '', ''].join('\r\n')
}
