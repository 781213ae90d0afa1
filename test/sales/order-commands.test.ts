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

/** Opens a shop with an order in this status. The payment of a paid order has the fee `feeBps`. */
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
])(
  '%s of an order with status %s is accepted with 202 and stored for the sweep',
  async (verb, status) => {
    const { id, command, show, asked } = await shopWithOrder(status)
    const before = await show()
    const accepted = await command(verb)
    expect([accepted.status, accepted.body]).toStrictEqual([202, before])
    expect(accepted.body.status).toBe(status)
    expect(await asked()).toEqual([`${verb} open`])
    const [row] = await db.select().from(commands).where(eq(commands.resourceId, id))
    expect(row).toMatchObject({ amount: null, nextSweepAt: expect.any(Date) })
  },
)

test.each<[Verb, OrderStatus]>([
  ['fulfill', 'created'],
  ['fulfill', 'fulfilled'],
  ['fulfill', 'canceled'],
  ['cancel', 'fulfilled'],
  ['cancel', 'canceled'],
])(
  '%s of an order with status %s is refused with 409 and changes nothing',
  async (verb, status) => {
    const { command } = await shopWithOrder(status)
    const before = await contents(db)
    const refused = await command(verb, 'x')
    expectRefusal(refused, 409, 'conflict', null)
    expect(refused.body.error.message).toContain(status)
    expect(await contents(db)).toEqual(before)
  },
)

test('a command with a body field is refused with 400, and one for an unknown order with 404', async () => {
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
  'a repeated key attaches to its open %s, and gets the answer once the command is done',
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

test('a fulfill stored before the deadline wins, even if its update was lost', async () => {
  const { id, command, asked } = await shopWithOrder('paid')
  expect((await command('fulfill', 'late')).status).toBe(202)
  expect((await cancelOrder(db, id, 'deadline_passed', new Date())).status).toBe('fulfilled')
  const late = await command('fulfill', 'late')
  expect([late.status, late.body.status]).toEqual([200, 'fulfilled'])
  expect(await asked()).toEqual(['fulfill done'])
})

test('a cancel stored before the deadline gives the order the reason "requested"', async () => {
  const { id, command, asked } = await shopWithOrder('paid')
  expect((await command('cancel', 'late')).status).toBe(202)
  await cancelOrder(db, id, 'deadline_passed', new Date())
  const late = await command('cancel', 'late')
  expect([late.status, late.body.cancellation_reason]).toEqual([200, 'requested'])
  expect(await asked()).toEqual(['cancel done'])
})

test('one of a fulfill and a cancel at the same moment is accepted, in each of 25 rounds', async () => {
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

test('one of fifty commands at the same moment is accepted', async () => {
  const { command, asked } = await shopWithOrder('paid')
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, n) => command(n % 2 ? 'fulfill' : 'cancel', `${n}`)),
  )
  expect(answers.filter(({ status }) => status === 202)).toHaveLength(1)
  expect(await asked()).toEqual([expect.stringMatching(/^(fulfill|cancel) open$/)])
})

describe('canceling a paid order needs a balance that covers the refund', () => {
  test('a cancel is refused with 422 if the balance lacks one paisa', async () => {
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

  test('a cancel is refused with 422 if only the payment without its fee is left', async () => {
    const { command, topUp, sums } = await shopWithOrder('paid', 200)
    expect((await sums()).available).toBe(49_000)
    expectRefusal(await command('cancel'), 422, 'insufficient_balance', null)
    await topUp(1_000)
    expect((await command('cancel')).status).toBe(202)
  })

  test('a cancel is refused with 422 if the balance is in another currency', async () => {
    const { command, payOut, topUp } = await shopWithOrder('paid')
    await payOut(50_000)
    await topUp(50_000, 'USD')
    expectRefusal(await command('cancel'), 422, 'insufficient_balance', null)
  })

  test('a cancel after a partial refund needs a balance for the rest', async () => {
    const { command, payment, refund, sums, payOut, topUp } = await shopWithOrder('paid')
    await refund(payment, 20_000)
    expect((await sums()).available).toBe(30_000)
    await payOut(1)
    expectRefusal(await command('cancel'), 422, 'insufficient_balance', null)
    await topUp(1)
    expect((await command('cancel')).status).toBe(202)
  })

  test('a cancel after a full refund needs no balance', async () => {
    const { command, payment, refund, sums } = await shopWithOrder('paid')
    await refund(payment, 50_000)
    expect((await sums()).available).toBe(0)
    expect((await command('cancel')).status).toBe(202)
  })

  test('a fulfill, and a cancel of an unpaid order, need no balance', async () => {
    const paid = await shopWithOrder('paid')
    await paid.payOut(50_000)
    expect((await paid.command('fulfill')).status).toBe(202)
    const open = await shopWithOrder('created')
    await open.post('payments', { ...upi, order_id: open.id })
    expect((await open.command('cancel')).status).toBe(202)
  })
})
