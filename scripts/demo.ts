import { setTimeout } from 'node:timers/promises'
import { startFailingServer, startRemit } from './demo/servers.ts'
import { portOf } from './start/ports.ts'
import { createSupervisor } from './start/supervisor.ts'

const ANSWERS = [503, 503, 200]
const RETRY_SECONDS = [3, 3]
const POLL_MS = 200
const LIMIT_MS = 120_000

const api = `http://localhost:${portOf('PORT')}`
const ui = `http://localhost:${portOf('TEMPORAL_UI_PORT')}/namespaces/default/workflows`
const headers = { authorization: 'Bearer secret_test_xyz789', 'content-type': 'application/json' }

const { keep, stop } = createSupervisor({
  stopOrder: ["the demo's endpoint", 'Remit'],
  onStopped: () => {},
})
demo().catch((error) => stop(1, error.message))

/** Makes a payment whose webhook fails twice, and prints each step as it happens. */
async function demo(): Promise<void> {
  const isOurs = !(await isUp())
  if (isOurs) keep('Remit', await startRemit())
  const endpointId = await addEndpoint(await startFailingServer(ANSWERS))

  const upi = { amount: 50_000, currency: 'INR', method: 'upi', vpa: 'demo@upi' }
  const { id } = await call<{ id: string }>('POST', 'payments', upi)
  console.log(`
A payment of ₹500.00, which the sandbox takes some seconds to decide. Its workflow:

  ${ui}/${id}
`)
  const deliveryId = await until(() => findDelivery(endpointId))
  console.log(`It has succeeded, and the merchant's server is told, which fails twice. That is a workflow too:

  ${ui}/${deliveryId}
`)
  await tellAttempts(deliveryId)
  console.log('\nDelivered. Open both, to see what happened when.')
  if (!isOurs) return stop(0)
  console.log('Remit runs on for that. Ctrl-C stops it.')
}

/** Prints every delivery attempt as soon as the attempt has its outcome. */
async function tellAttempts(deliveryId: string): Promise<void> {
  const told = new Set<string>()
  await until(async () => {
    const { status, attempts } = await call<Delivery>('GET', `webhook_deliveries/${deliveryId}`)
    for (const made of attempts.filter(({ id, state }) => state !== 'sending' && !told.has(id))) {
      told.add(made.id)
      console.log(toLine(made))
    }
    return status === 'delivered'
  })
}

type Attempt = {
  id: string
  attempt: number
  state: string
  http_status: number | null
  error: string | null
  next_attempt_at: string | null
  created_at: string
}
type Delivery = { id: string; status: string; attempts: Attempt[] }

function toLine({ attempt, http_status, error, next_attempt_at, created_at }: Attempt): string {
  const waitMs = next_attempt_at && Date.parse(next_attempt_at) - Date.parse(created_at)
  const next = waitMs ? `next attempt in ${Math.round(waitMs / 1000)} s` : 'delivered'
  const time = new Date(created_at).toLocaleTimeString('en-GB')
  return `  ${time}  attempt ${attempt}  HTTP ${http_status ?? error}  ${next}`
}

/** Adds a webhook endpoint, which is deleted when the demo ends, also by Ctrl-C. */
async function addEndpoint(url: string): Promise<string> {
  const rest = { event_types: ['payment.succeeded'], retry_schedule: RETRY_SECONDS }
  const { id } = await call<{ id: string }>('POST', 'webhook_endpoints', { url, ...rest })
  const remove = () => call('DELETE', `webhook_endpoints/${id}`).then(() => {})
  keep("the demo's endpoint", {
    exited: new Promise(() => {}),
    stop: () => remove().catch(() => {}),
  })
  return id
}

async function findDelivery(endpointId: string): Promise<string | undefined> {
  const path = `webhook_deliveries?endpoint_id=${endpointId}`
  return (await call<{ data: Delivery[] }>('GET', path)).data[0]?.id
}

async function until<T>(ask: () => Promise<T>): Promise<NonNullable<T>> {
  const deadline = Date.now() + LIMIT_MS
  while (Date.now() < deadline) {
    const answer = await ask()
    if (answer) return answer
    await setTimeout(POLL_MS)
  }
  throw new Error(`Nothing has come of it within ${LIMIT_MS / 1000} s.`)
}

async function isUp(): Promise<boolean> {
  return fetch(`${api}/health`).then(
    ({ ok }) => ok,
    () => false,
  )
}

async function call<T>(method: string, path: string, body?: object): Promise<T> {
  const request = { method, headers, ...(body && { body: JSON.stringify(body) }) }
  const answer = await fetch(`${api}/api/v1/${path}`, request)
  if (!answer.ok) throw new Error(`${method} /api/v1/${path}: ${await answer.text()}`)
  return (await answer.json()) as T
}
