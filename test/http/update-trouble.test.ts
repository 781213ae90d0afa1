import net from 'node:net'
import { createUpdater } from '../../api/http/try-update.ts'
import { commands } from '../../db/requests/schema.ts'
import type { Log } from '../../log.ts'
import { tryPort } from '../../scripts/tools/processes.ts'
import { createTemporalClient } from '../../temporal/client.ts'
import { callAs, testApp } from '../support/app.ts'
import { addMerchant, testDb } from '../support/db.ts'
import { upi } from '../support/http.ts'
import { keptLog } from '../support/log.ts'
import { pause } from '../support/stack.ts'

const db = testDb()
const DEADLINE_MS = 5_000
const SLACK_MS = 5_000 // ten cancels at once are slow on a busy machine

/** An uncaught rejection would end the API's process. */
const uncaught: unknown[] = []
const note = (reason: unknown) => uncaught.push(reason)
beforeAll(() => process.on('unhandledRejection', note))
afterAll(() => process.off('unhandledRejection', note))
afterEach(() => jest.restoreAllMocks())

/** Starts a server that accepts connections and never answers. */
async function silentServer() {
  const sockets: net.Socket[] = []
  const server = net.createServer((socket) => sockets.push(socket.on('error', () => {})))
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  const close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  return { port: (server.address() as net.AddressInfo).port, close }
}

async function cancelAt(port: number, times: number, log: Log) {
  const temporal = createTemporalClient({ address: `127.0.0.1:${port}`, namespace: 'default' })
  const { app } = testApp(db, { tryUpdate: createUpdater(temporal, log) })
  const call = callAs(app, await addMerchant(db))
  const ids: string[] = []
  for (let i = 0; i < times; i++) ids.push((await call('POST', '/api/v1/payments', upi)).body.id)
  const start = performance.now()
  const answers = await Promise.all(ids.map((id) => call('POST', `/api/v1/payments/${id}/cancel`)))
  const tookMs = performance.now() - start
  await pause(DEADLINE_MS) // a rejection may come after the answers
  await temporal.connection.close()
  return { answers, tookMs }
}

test.each(['closed', 'silent'])(
  'a command is stored and gets 202 after at most 5 s when the port of Temporal is %s',
  async (kind) => {
    const { log, lines } = keptLog()
    const silent = kind === 'silent' ? await silentServer() : null
    const { answers, tookMs } = await cancelAt(silent?.port ?? (await tryPort(0)), 10, log)
    silent?.close()
    for (const { status, body } of answers) expect([status, body.status]).toEqual([202, 'pending'])
    expect(tookMs).toBeLessThan(DEADLINE_MS + SLACK_MS)
    expect(lines.filter(({ msg }) => msg === 'Left to the sweep')).toHaveLength(10)
    for (const { command_id: id } of lines) expect(id).toMatch(/^cmd_/)
    expect(uncaught).toEqual([])
    for (const { status } of await db.select().from(commands)) expect(status).toBe('open')
  },
)
