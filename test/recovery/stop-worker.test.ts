import { sql } from 'drizzle-orm'
import { attempts, deliveries } from '../../db/webhooks/schema.ts'
import { addMerchant, testDb } from '../support/db.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { upi } from '../support/http.ts'
import { call, testPrograms } from '../support/programs.ts'
import { pause, until } from '../support/stack.ts'
import { addEndpoint } from '../webhooks/delivery.ts'

jest.setTimeout(120_000) // real processes start slowly on a busy machine
const db = testDb()
const endpoint = testEndpoint()
const { start } = testPrograms(db)
const body = JSON.stringify(upi)
const PATH = '/api/v1/payments'

test('a worker that is stopped finishes its POSTs, and the next worker sends none of them again', async () => {
  const { id: merchantId, secret } = await addMerchant(db)
  await addEndpoint(db, { merchantId, url: endpoint.url })
  endpoint.answer = async () => {
    await pause(3_000)
    return { status: 200 }
  }
  const [api, first] = [await start('api'), await start('worker')]
  const post = () => call(api.url + PATH, secret, body)
  await Promise.all([post(), post(), post()])
  await until(async () => endpoint.requests.length >= 3, 'the POSTs')
  const stopping = first.stop()
  await Promise.all([post(), post(), post()])
  const second = await start('worker')
  await stopping
  expect(await first.exited).toBe('exit code 0')

  await until(async () => {
    const delivered = await db.$count(deliveries, sql`status = 'delivered'`)
    return delivered === 12
  }, 'all deliveries')
  const made = await db.select({ n: attempts.attempt, state: attempts.state }).from(attempts)
  expect(made).toEqual(Array(12).fill({ n: 1, state: 'succeeded' }))
  const ids = endpoint.requests.map(({ headers }) => headers['webhook-id'])
  expect(new Set(ids).size).toBe(12)
  expect(ids).toHaveLength(12)
  await Promise.all([second.stop(), api.stop()])
  expect(await second.exited).toBe('exit code 0')
})
