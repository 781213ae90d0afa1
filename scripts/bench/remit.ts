import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json, text as textOf } from 'node:stream/consumers'
import { openDb } from '../../db/client.ts'
import { insertMerchant, newKeyPair } from '../../db/merchants/merchants.ts'
import { createArrivals, type Pay } from './load.ts'

/** Adds a merchant for the benchmark, and returns the headers that authenticate the merchant. */
export async function addMerchant(databaseUrl: string): Promise<Record<string, string>> {
  const db = openDb(databaseUrl, { statementTimeoutMs: 30_000 })
  const keys = newKeyPair()
  await db.transaction((tx) => insertMerchant(tx, 'Bench', keys, new Date()))
  await db.$client.end()
  return { 'x-api-key': keys.key, 'x-api-secret': keys.secret, 'content-type': 'application/json' }
}

type Webhook = { type: string; data: { object: { description: string } } }

/**
 * Starts the merchant's server, which calls `tell` with the description of each payment that has
 * succeeded. Returns the URL of the server.
 */
export async function startMerchant(tell: (description: string) => void): Promise<string> {
  const server = createServer(async (incoming, response) => {
    const webhook = (await json(incoming).catch(() => null)) as Webhook | null
    if (!webhook) return response.writeHead(400).end() // the body is not JSON, or was cut off
    const { type, data } = webhook
    response.writeHead(200).end()
    if (type === 'payment.succeeded') tell(data.object.description)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/**
 * Returns a function that pays through Remit, and waits until the merchant's server has
 * `payment.succeeded`.
 */
export async function remitPayer(api: string, headers: Record<string, string>): Promise<Pay> {
  const arrivals = createArrivals()
  const agent = new Agent({ keepAlive: true, timeout: 3_000 }) // below the API's keep-alive
  const post = async (path: string, body: object) => {
    const text = JSON.stringify(body)
    const outgoing = request(api + path, { method: 'POST', headers, agent }).end(text)
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    const answered = await textOf(answer)
    if (answer.statusCode !== 201) throw new Error(`${path}: ${answered}`)
  }
  const url = await startMerchant(arrivals.tell)
  const event_types = ['payment.created', 'payment.succeeded']
  await post('/api/v1/webhook_endpoints', { url, event_types })

  const upi = { amount: 50_000, currency: 'INR', method: 'upi', vpa: 'test@upi' }
  let made = 0
  return async () => {
    const description = `payment ${++made}`
    const arrived = arrivals.of(description)
    await post('/api/v1/payments', { ...upi, description })
    await arrived
  }
}
