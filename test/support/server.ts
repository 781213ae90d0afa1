import { listen } from '../../api/http/server.ts'
import type { Log } from '../../log.ts'
import { silent } from './log.ts'

type App = { fetch: Parameters<typeof listen>[0] }
type Options = { log?: Log; receivingMs?: number }

/** Serves the API as `api/main.ts` does, on a free port. */
export function testServer(app: App, { log = silent, ...options }: Options = {}) {
  let server: ReturnType<typeof listen>
  const at = { url: '', port: 0, underWay: () => server.underWay() }
  const address = { hostname: '127.0.0.1', port: 0, stopping: new AbortController().signal }
  beforeAll(async () => {
    at.port = await new Promise<number>((onListening) => {
      server = listen(app.fetch, { ...address, ...options, log, onListening })
    })
    at.url = `http://127.0.0.1:${at.port}`
  })
  afterAll(() => server.stop())
  return at
}
