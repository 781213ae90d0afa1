import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type ServerType, serve } from '@hono/node-server'
import type { createApp } from '../api/app.ts'

/** The API on a port of its own, for what is not called directly, such as by a browser. */
export function testServer(app: ReturnType<typeof createApp>) {
  let server: ServerType
  const at = { url: '' }
  beforeAll(async () => {
    server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 })
    await once(server, 'listening')
    at.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => server.close())
  return at
}
