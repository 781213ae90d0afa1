import { eq } from 'drizzle-orm'
import type { OrderStatus } from '../../core/lifecycles/order.ts'
import { cancelOrder, fulfillOrder } from '../../db/orders/steps.ts'
import { commands } from '../../db/requests/schema.ts'
import { testDb } from '../support/db.ts'
import { contents, expectRefusal, succeed, upi } from '../support/http.ts'
import { testTill } from '../transfers/till.ts'

const db = testDb()
const path = '/api/v1/orders'
const order = { amount: 50_000, currency: 'INR' }
type Verb = 'fulfill' | 'cancel'

/** A shop with an order in this status, who commands it. What was paid for it had this fee. */
async function shopWithOrder(status: OrderStatus, feeBps = 0) {
  const till = await testTill(db)
  const { body } = await till.call('POST', path, order)
  const id = body.id as string
  const isPaid = status === 'paid' || status === 'fulfilled'
  const payment = isPaid ? (await till.post('payments', { ...upi, order_id: id })).body.id : ''
  if (payment) await succeed(db, payment, feeBps)
  if (status === 'fulfilled') await fulfillOrder(db, id, new Date())
  if (status === 'canceled') await cancelOrder(db, id, 'requested', new Date())
  const command = (verb: Verb, key?: string) => till.post(`orders/${id}/${verb}`, {}, key)
  const show = async () => (await till.get(`orders/${id}`)).body
  const asked = async () => {
    const rows = await db.select().from(commands).where(eq(commands.resourceId, id))
    return rows.map(({ kind, status }) => `${kind} ${status}`)
  }
  return { ...till, id, payment: payment as string, command, show, asked }
}

test.each<[Verb, OrderStatus]>([
  ['fulfill', 'paid'],
  ['cancel', 'created'],
  ['cancel', 'paid'],
])('%s of an order that is %s is accepted, and kept for the sweep', async (verb, status) => {
  const { id, command, show, asked } = await shopWithOrder(status)
  const before = await show()
  const accepted = await command(verb)
  expect([accepted.status, accepted.body]).toStrictEqual([202, before])
  expect(accepted.body.status).toBe(status)
  expect(await asked()).toEqual([`${verb} open`])
  const [row] = await db.select().from(commands).where(eq(commands.resourceId, id))
  expect(row).toMatchObject({ amount: null, nextSweepAt: expect.any(Date) })
})

test.each<[Verb, OrderStatus]>([
  ['fulfill', 'created'],
  ['fulfill', 'fulfilled'],
  ['fulfill', 'canceled'],
  ['cancel', 'fulfilled'],
  ['cancel', 'canceled'],
])('%s of an order that is %s is refused, and changes nothing', async (verb, status) => {
  const { command } = await shopWithOrder(status)
  const before = await contents(db)
  const refused = await command(verb, 'x')
  expectRefusal(refused, 409, 'conflict', null)
  expect(refused.body.error.message).toContain(status)
  expect(await contents(db)).toEqual(before)
})

test('a command takes no body but an empty one, and finds no order that is not there', async () => {
  const { call, id } = await shopWithOrder('paid')
  await call('POST', path, { ...order, reference: 'OURS' })
  const before = await contents(db)
  for (const verb of ['fulfill', 'cancel']) {
    const asked = await call('POST', `${path}/${id}/${verb}`, { reason: 'x' })
    expectRefusal(asked, 400, 'invalid_request', 'reason')
    for (const other of ['ord_404', 'OURS'])
      expectRefusal(await call('POST', `${path}/${other}/${verb}`), 404, 'not_found', null)
  }
  expect(await contents(db)).toEqual(before)
})

test.each<[Verb, OrderStatus, typeof fulfillOrder]>([
  ['fulfill', 'fulfilled', fulfillOrder],
  ['cancel', 'canceled', (db, id, now) => cancelOrder(db, id, 'requested', now)],
])(
  'the key of a %s attaches to it until it is done, and then gets its answer',
  async (verb, status, end) => {
    const { id, command, show, asked } = await shopWithOrder('paid')
    expect((await command(verb, 'k')).status).toBe(202)
    expect((await command(verb, 'k')).status).toBe(202)
    expectRefusal(await command(verb, 'other'), 409, 'conflict', null)
    await end(db, id, new Date())
    const done = await command(verb, 'k')
    expect([done.status, done.body]).toStrictEqual([200, await show()])
    expect(done.body.status).toBe(status)
    expect(done.headers.get('idempotent-replayed')).toBeNull()
    const replayed = await command(verb, 'k')
    expect([replayed.status, replayed.body]).toStrictEqual([200, done.body])
    expect(replayed.headers.get('idempotent-replayed')).toBe('true')
    expect(await asked()).toEqual([`${verb} done`])
  },
)

test('a fulfilment that came before the deadline counts, though it got lost on its way', async () => {
  const { id, command, asked } = await shopWithOrder('paid')
  expect((await command('fulfill', 'late')).status).toBe(202)
  expect((await cancelOrder(db, id, 'deadline_passed', new Date())).status).toBe('fulfilled')
  const late = await command('fulfill', 'late')
  expect([late.status, late.body.status]).toEqual([200, 'fulfilled'])
  expect(await asked()).toEqual(['fulfill done'])
})

test('and so does a cancel: it is what the merchant asked for', async () => {
  const { id, command, asked } = await shopWithOrder('paid')
  expect((await command('cancel', 'late')).status).toBe(202)
  await cancelOrder(db, id, 'deadline_passed', new Date())
  const late = await command('cancel', 'late')
  expect([late.status, late.body.cancellation_reason]).toEqual([200, 'requested'])
  expect(await asked()).toEqual(['cancel done'])
})

test('of a fulfilment and a cancel at the same moment one is taken, twenty-five times', async () => {
  for (let round = 0; round < 25; round++) {
    const { command, asked } = await shopWithOrder('paid')
    const verbs: Verb[] = round % 2 ? ['fulfill', 'cancel'] : ['cancel', 'fulfill']
    const answers = await Promise.all(verbs.map((verb) => command(verb, verb)))
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409])
    const winner = verbs[answers.findIndex(({ status }) => status === 202)]
    for (const answer of answers) if (answer.status === 409) expectRefusal(answer, 409, 'conflict')
    expect(await asked()).toEqual([`${winner} open`])
  }
})

test('of fifty commands at once one is open', async () => {
  const { command, asked } = await shopWithOrder('paid')
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, n) => command(n % 2 ? 'fulfill' : 'cancel', `${n}`)),
  )
  expect(answers.filter(({ status }) => status === 202)).toHaveLength(1)
  expect(await asked()).toEqual([expect.stringMatching(/^(fulfill|cancel) open$/)])
})

describe('to cancel what was paid the balance has to cover what is left to refund', () => {
  test('and one that lacks a paisa does not', async () => {
    const { command, payOut, topUp } = await shopWithOrder('paid')
    await payOut(1)
    const before = await contents(db)
    const refused = await command('cancel', 'c')
    expectRefusal(refused, 422, 'insufficient_balance', null)
    expect(refused.body.error.message).toContain('49999')
    expect(await contents(db)).toEqual(before)
    await topUp(1)
    expect((await command('cancel', 'c')).status).toBe(202)
  })

  test('nor does what the fee has left', async () => {
    const { command, topUp, sums } = await shopWithOrder('paid', 200)
    expect((await sums()).available).toBe(49_000)
    expectRefusal(await command('cancel'), 422, 'insufficient_balance', null)
    await topUp(1_000)
    expect((await command('cancel')).status).toBe(202)
  })

  test('nor a balance in another currency', async () => {
    const { command, payOut, topUp } = await shopWithOrder('paid')
    await payOut(50_000)
    await topUp(50_000, 'USD')
    expectRefusal(await command('cancel'), 422, 'insufficient_balance', null)
  })

  test('which is less once a part was refunded', async () => {
    const { command, payment, refund, sums, payOut, topUp } = await shopWithOrder('paid')
    await refund(payment, 20_000)
    expect((await sums()).available).toBe(30_000)
    await payOut(1)
    expectRefusal(await command('cancel'), 422, 'insufficient_balance', null)
    await topUp(1)
    expect((await command('cancel')).status).toBe(202)
  })

  test('and is nothing once all of it was', async () => {
    const { command, payment, refund, sums } = await shopWithOrder('paid')
    await refund(payment, 50_000)
    expect((await sums()).available).toBe(0)
    expect((await command('cancel')).status).toBe(202)
  })

  test('but a fulfilment costs nothing, nor does the cancel of what nobody has paid', async () => {
    const paid = await shopWithOrder('paid')
    await paid.payOut(50_000)
    expect((await paid.command('fulfill')).status).toBe(202)
    const open = await shopWithOrder('created')
    await open.post('payments', { ...upi, order_id: open.id })
    expect((await open.command('cancel')).status).toBe(202)
  })
})
