import { sql } from 'drizzle-orm'
import { payments } from '../../db/payments/schema.ts'
import { addMerchant, testDb } from '../support/db.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { byCard, card, cardNumber, upi } from '../support/http.ts'
import { call, testPrograms } from '../support/programs.ts'
import { until } from '../support/stack.ts'
import { addEndpoint } from '../webhooks/delivery.ts'

jest.setTimeout(120_000) // starts two processes on a machine that may be busy
const db = testDb()
const endpoint = testEndpoint()
const { start } = testPrograms(db)

const PATH = '/api/v1/payments'
const VPA = 'asha.rao@upi'
const stolen = 'secret_stolen_0123456789abcdef'

/** Makes the database raise an error with `words`, which hold all that a log must never contain. */
async function makeTrouble(table: string, when: string, words: string): Promise<void> {
  const name = `trouble_${table}`
  await db.execute(
    sql.raw(`
    create function ${name}() returns trigger language plpgsql as $$
      begin raise exception '${words}'; end $$;
    create trigger ${name} before insert or update on ${table}
      for each row when (${when}) execute function ${name}()`),
  )
}

type Line = Record<string, unknown> & { level: number; msg: string; err?: { stack: string } }

const parse = (lines: string[]) => lines.map((line) => JSON.parse(line) as Line)

test('the logs of the API and the worker name requests, merchants and errors, but no secrets', async () => {
  endpoint.answer = async () => ({ status: 503 })
  const merchant = await addMerchant(db)
  const { secret } = merchant
  const hook = await addEndpoint(db, { merchantId: merchant.id, url: endpoint.url })
  const words = `card ${cardNumber} of ${VPA} with ${hook.secret} and ${stolen}`
  await makeTrouble('payments', `new.description = 'trouble'`, words)
  await makeTrouble('sandbox_charges', `new.source = 'stuck@upi'`, words)

  const settings = { LOG_LEVEL: 'debug', NODE_ENV: 'production', PUBLIC_URL: 'https://pay.example' }
  const allowed = { WEBHOOK_ALLOW_HTTP: '', WEBHOOK_ALLOW_PRIVATE_NETWORKS: '' }
  const [api, worker] = [
    await start('api', { ...settings, ...allowed }),
    await start('worker', { LOG_LEVEL: 'debug' }),
  ]
  const post = (body: unknown, key = secret) =>
    call(`${api.url}${PATH}`, key, typeof body === 'string' ? body : JSON.stringify(body))

  const [paid, failed, byVpa] = [
    await post(byCard),
    await post({ ...byCard, card: { ...card, number: '4000000000000002' } }),
    await post({ ...upi, vpa: VPA }),
  ]
  const down = await post({ ...upi, vpa: 'down@upi' })
  const stuck = await post({ ...upi, vpa: 'stuck@upi' })
  const trouble = await post({ ...byCard, description: 'trouble' })
  const wrong = await post(byCard, stolen)
  const broken = await post(`{"card": {"number": "${cardNumber}", "cvc": ${card.cvc}`)
  const refused = await post({ ...byCard, card: { ...card, number: '4539148803436468' } })
  const lost = await call(`${api.url}${PATH}/${VPA}/${cardNumber}?vpa=${VPA}`, secret)
  const statuses = [paid, failed, byVpa, down, stuck, trouble, wrong, broken, refused, lost]
  expect(statuses.map((answer) => answer?.status)).toEqual([
    201, 201, 201, 201, 201, 500, 401, 400, 400, 404,
  ])

  const settled = sql`status in ('succeeded', 'failed')`
  await until(async () => (await db.$count(payments, settled)) === 4, 'the payments')
  const ofStuck = ({ level, workflow_id }: Line) => level === 40 && workflow_id === stuck?.body.id
  await until(async () => parse(worker.lines).some(ofStuck), 'the trouble with the provider')
  await Promise.all([api.stop(), worker.stop()])
  const [ofApi, ofWorker] = [parse(api.lines), parse(worker.lines)]

  // The log has each request with its merchant, and the error with the same ids and a stack.
  const requests = ofApi.filter(({ method }) => method === 'POST')
  expect(requests.map(({ status }) => status).sort()).toEqual([
    201, 201, 201, 201, 201, 400, 400, 401, 500,
  ])
  for (const { request_id, merchant_id, status, path, ms } of requests) {
    expect(request_id).toMatch(/^req_[0-9a-f]{32}$/)
    expect(merchant_id).toBe(status === 401 ? undefined : merchant.id)
    expect([path, typeof ms]).toEqual([PATH, 'number'])
  }
  const [error] = ofApi.filter(({ level }) => level === 50)
  const request_id = requests.find(({ status }) => status === 500)?.request_id
  expect(error).toMatchObject({ request_id, merchant_id: merchant.id })
  expect(error?.err?.stack).toMatch(/card \[card\] of \[vpa\] with .*\n +at /s)

  // The log has each failed activity with its workflow, and the reason without its secrets.
  const warnings = ofWorker.filter(({ level }) => level === 40)
  const why = (id: string | undefined) => {
    const found = warnings.filter(({ workflow_id }) => workflow_id === id)
    for (const line of found)
      expect(line).toMatchObject({
        activity_type: 'chargePayment',
        workflow_type: 'processPayment',
        run_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      })
    return JSON.stringify(found.map(({ err }) => err))
  }
  expect(why(down?.body.id)).toContain('HTTP 503 Service Unavailable')
  expect(why(stuck?.body.id)).toContain('Postgres: card [card] of [vpa]')

  const all = [...api.lines, ...worker.lines].join('\n')
  for (const never of [cardNumber, '4000000000000002', '4539148803436468', VPA])
    expect(all).not.toContain(never)
  for (const never of [secret, hook.secret, stolen, 'down@upi', 'stuck@upi'])
    expect(all).not.toContain(never)
  expect(all).not.toMatch(/whsec_[^[]|params|asha|cvc|BwcHBwcH/)
})
