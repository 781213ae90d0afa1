import { eq } from 'drizzle-orm'
import { payments } from '../../db/payments/schema.ts'
import { commands, idempotencyKeys } from '../../db/requests/schema.ts'
import { events } from '../../db/webhooks/schema.ts'
import { sandboxCharges } from '../../providers/sandbox/schema.ts'
import { callAs, testApp } from '../support/app.ts'
import { addMerchant, balanceOf, type Merchant, testDb } from '../support/db.ts'
import { contents, expectRefusal, upi } from '../support/http.ts'
import { keptLog } from '../support/log.ts'
import { testActivities, until, waitingActivity } from '../support/stack.ts'
import { devServerEnv } from '../support/temporal.ts'

const db = testDb()
const temporal = devServerEnv()
const manual = { ...upi, capture_method: 'manual' }

let merchant: Merchant
let call: ReturnType<typeof callAs>
beforeEach(async () => {
  merchant = await addMerchant(db)
  call = callAs(testApp(db, { temporal: temporal.client() }).app, merchant)
})

const run = <T>(use: () => Promise<T>) => temporal.withActivities(testActivities(db), use)
const keyed = (key: string) => ({ 'idempotency-key': key })
const post = (path: string, body?: object, headers?: Record<string, string>) =>
  call('POST', `/api/v1/payments/${path}`, body, headers)

async function payIn(status: string, input: object = manual): Promise<string> {
  const { body } = await call('POST', '/api/v1/payments', input)
  await until(async () => (await rowOf(body.id)).status === status, `${body.id} to be ${status}`)
  return body.id
}

/** Makes a pending payment that stays without a verdict from the provider. */
async function stuck(input: object = upi): Promise<string> {
  const id = await payIn('pending', { ...input, vpa: 'stuck@upi' })
  await until(async () => (await recorded(id)).charges[0]?.status === 'processing')
  return id
}

async function rowOf(id: string) {
  const [row] = await db.select().from(payments).where(eq(payments.id, id))
  if (!row) throw new Error(`No such payment: ${id}`)
  return row
}

async function recorded(id: string) {
  const told = await db.select().from(events).where(eq(events.resourceId, id))
  const asked = await db.select().from(commands).where(eq(commands.resourceId, id))
  return {
    charges: await db.select().from(sandboxCharges).where(eq(sandboxCharges.paymentId, id)),
    events: told.map(({ type }) => type.replace('payment.', '')).sort(),
    commands: asked.map(({ kind, status }) => `${kind} ${status}`),
    balance: await balanceOf(db, merchant.id, 'available', 'INR'),
  }
}

const statusOf = (id: string) =>
  temporal
    .client()
    .workflow.getHandle(id)
    .describe()
    .then(({ status }) => status.name)

test('a capture without an amount takes the whole payment and credits the merchant', async () => {
  await run(async () => {
    const id = await payIn('authorized')
    expect(await recorded(id)).toMatchObject({ events: ['authorized', 'created'], balance: 0 })
    const { status, body } = await post(`${id}/capture`)
    expect(status).toBe(200)
    expect(body).toMatchObject({ id, status: 'succeeded', amount: 50_000, amount_captured: 50_000 })
    expect(await recorded(id)).toMatchObject({
      charges: [{ status: 'succeeded', amountCaptured: 50_000 }],
      events: ['authorized', 'created', 'succeeded'],
      commands: ['capture done'],
      balance: 50_000,
    })
    expect(await statusOf(id)).toBe('COMPLETED')
  })
})

test('an empty body with a Content-Type counts as no body', async () => {
  await run(async () => {
    const id = await payIn('authorized')
    const typed = { 'content-type': 'application/json' }
    expect((await post(`${id}/cancel`, undefined, typed)).status).toBe(200)
    const none = await call('POST', '/api/v1/payments', undefined, typed)
    expectRefusal(none, 400, 'invalid_request', 'amount')
  })
})

test('a partial capture takes its amount and releases the rest', async () => {
  await run(async () => {
    const id = await payIn('authorized')
    const { body } = await post(`${id}/capture`, { amount: 30_000 })
    expect(body).toMatchObject({ status: 'succeeded', amount: 50_000, amount_captured: 30_000 })
    const { charges, balance } = await recorded(id)
    expect(charges).toMatchObject([{ status: 'succeeded', amountCaptured: 30_000 }])
    expect(balance).toBe(30_000)
  })
})

test.each([
  ['authorized', () => payIn('authorized')],
  ['pending', () => stuck()],
])('a cancel of a payment with status %s takes no money from the payer', async (_, pay) => {
  await run(async () => {
    const id = await pay()
    const { status: answered, body } = await post(`${id}/cancel`)
    expect([answered, body.status]).toEqual([200, 'canceled'])
    const { charges, events: told, commands: asked, balance } = await recorded(id)
    expect(charges).not.toMatchObject([{ status: 'succeeded' }])
    expect(told).toContain('canceled')
    expect([asked, balance]).toEqual([['cancel done'], 0])
    expect(await statusOf(id)).toBe('COMPLETED')
  })
})

test('an impossible or invalid capture or cancel is refused and changes nothing', async () => {
  await run(async () => {
    const [captured, canceled, taken, open] = [
      await payIn('authorized'),
      await payIn('authorized'),
      await payIn('succeeded', upi),
      await payIn('authorized'),
    ]
    await post(`${captured}/capture`)
    await post(`${canceled}/cancel`)
    const undecided = await stuck(manual)
    const before = await contents(db)
    for (const id of [captured, canceled, taken])
      for (const verb of ['capture', 'cancel'])
        expectRefusal(await post(`${id}/${verb}`), 409, 'conflict', null)
    expectRefusal(await post(`${undecided}/capture`), 409, 'conflict', null)
    const tooMuch = await post(`${open}/capture`, { amount: 50_001 })
    expectRefusal(tooMuch, 422, 'capture_exceeds_authorized', 'amount')
    for (const amount of [0, -1, 1.5, '100', null])
      expectRefusal(await post(`${open}/capture`, { amount }), 400, 'invalid_request', 'amount')
    expectRefusal(await post(`${open}/capture`, { sum: 1 }), 400, 'invalid_request', 'sum')
    expectRefusal(await post(`${open}/cancel`, { amount: 1 }), 400, 'invalid_request', 'amount')
    expectRefusal(await post('pay_nowhere/capture'), 404, 'not_found', null)
    expect(await contents(db)).toEqual(before)
  })
})

test('a capture and a cancel at the same moment: one wins and the other gets 409, fifty times', async () => {
  await run(async () => {
    const ids = await Promise.all(Array.from({ length: 50 }, () => payIn('authorized')))
    let kept = 0
    for (const id of ids) {
      const verbs = ['capture', 'cancel'].sort(() => Math.random() - 0.5)
      const answers = await Promise.all(verbs.map((verb) => post(`${id}/${verb}`)))
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
      const winner = answers.find(({ status }) => status === 200)?.body
      const won = verbs[answers.findIndex(({ status }) => status === 200)]
      expect(winner.status).toBe(won === 'capture' ? 'succeeded' : 'canceled')
      expect((await rowOf(id)).status).toBe(winner.status)
      kept += winner.amount_captured
      const { charges, commands: asked } = await recorded(id)
      expect(charges).toMatchObject([{ status: winner.status }])
      expect(asked).toEqual([`${won} done`])
    }
    expect(await balanceOf(db, merchant.id, 'available', 'INR')).toBe(kept)
  })
})

test('a capture with a used key gets the first answer, and another body is refused with 422', async () => {
  await run(async () => {
    const id = await payIn('authorized')
    const first = await post(`${id}/capture`, { amount: 30_000 }, keyed('c1'))
    const again = await post(`${id}/capture`, { amount: 30_000 }, keyed('c1'))
    expect([first.status, again.status]).toEqual([200, 200])
    expect(again.body).toEqual(first.body)
    expect(first.headers.get('idempotent-replayed')).toBeNull()
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    const other = await post(`${id}/capture`, { amount: 20_000 }, keyed('c1'))
    expectRefusal(other, 422, 'idempotency_key_reused', 'Idempotency-Key')
    expect((await recorded(id)).commands).toEqual(['capture done'])
  })
})

test('twenty captures with one key make one command, and each gets its answer or a 409', async () => {
  await run(async () => {
    const id = await payIn('authorized')
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post(`${id}/capture`, {}, keyed('many'))),
    )
    for (const { status, body } of answers)
      if (status === 409) expect(body.error.code).toBe('idempotency_key_in_use')
      else expect([status, body.status]).toEqual([200, 'succeeded'])
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(0)
    expect((await recorded(id)).commands).toEqual(['capture done'])
  })
})

test('a capture without a worker gets 202, and a repeat attaches to the capture until it is done', async () => {
  const { log, lines } = keptLog()
  call = callAs(testApp(db, { temporal: temporal.client(), log }).app, merchant)
  const id = await run(() => payIn('authorized'))
  const accepted = await post(`${id}/capture`, {}, keyed('later'))
  expect([accepted.status, accepted.body.status]).toEqual([202, 'authorized'])
  expect(lines).toContainEqual(
    expect.objectContaining({ workflow_id: id, msg: 'Left to the sweep' }),
  )
  expectRefusal(await post(`${id}/cancel`), 409, 'conflict', null)
  await run(async () => {
    const again = await post(`${id}/capture`, {}, keyed('later'))
    expect([again.status, again.body.status]).toEqual([200, 'succeeded'])
    expect(again.headers.get('idempotent-replayed')).toBeNull()
    const replayed = await post(`${id}/capture`, {}, keyed('later'))
    expect(replayed.headers.get('idempotent-replayed')).toBe('true')
  })
  expect(await recorded(id)).toMatchObject({ commands: ['capture done'], balance: 50_000 })
})

test('a command whose update never arrived is sent by the sweep and stays in the sweep until done', async () => {
  const deaf = callAs(testApp(db).app, merchant)
  await run(async () => {
    const id = await payIn('authorized')
    const lost = await deaf('POST', `/api/v1/payments/${id}/capture`, { amount: 100 })
    expect([lost.status, lost.body.status]).toEqual([202, 'authorized'])
    await db.update(commands).set({ nextSweepAt: new Date() }).where(eq(commands.resourceId, id))
    const start = { workflowId: `sweep-${id}`, taskQueue: 'payments' }
    await temporal.client().workflow.execute('sweep', start)
    await until(async () => (await rowOf(id)).status === 'succeeded')
    expect((await rowOf(id)).amountCaptured).toBe(100)
    const [command] = await db.select().from(commands).where(eq(commands.resourceId, id))
    expect(command).toMatchObject({ status: 'done', nextSweepAt: null })
  })
})

test('the sweep restarts a terminated workflow for an open command', async () => {
  await run(async () => {
    const id = await payIn('authorized')
    await temporal.client().workflow.getHandle(id).terminate()
    const accepted = await post(`${id}/cancel`, {}, keyed('gone'))
    expect(accepted.status).toBe(202)
    await db.update(commands).set({ nextSweepAt: new Date() }).where(eq(commands.resourceId, id))
    const start = { workflowId: `sweep-${id}`, taskQueue: 'payments' }
    await temporal.client().workflow.execute('sweep', start)
    await until(async () => (await rowOf(id)).status === 'canceled')
    const done = await post(`${id}/cancel`, {}, keyed('gone'))
    expect([done.status, done.body.status]).toEqual([200, 'canceled'])
  })
})

test('a cancel after the provider took the money is refused with 409', async () => {
  await run(async () => {
    const id = await stuck()
    // Now the next poll is seconds away. An earlier poll could see the success before the cancel.
    await waitingActivity(temporal.client().workflow.getHandle(id))
    await db
      .update(sandboxCharges)
      .set({ status: 'succeeded', amountCaptured: 50_000 })
      .where(eq(sandboxCharges.paymentId, id))
    const late = await post(`${id}/cancel`, {}, keyed('late'))
    expectRefusal(late, 409, 'conflict', null)
    expect(late.body.error.message).toContain('succeeded')
    expect(await recorded(id)).toMatchObject({ commands: ['cancel refused'], balance: 50_000 })
    expectRefusal(await post(`${id}/cancel`, {}, keyed('late')), 409, 'conflict', null)
    expect(await db.$count(idempotencyKeys, eq(idempotencyKeys.merchantId, merchant.id))).toBe(1)
  })
})
