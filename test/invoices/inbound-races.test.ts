import { eq } from 'drizzle-orm'
import { applyInboundEvent, takeInboundEvent } from '../../db/invoices/inbound-events.ts'
import { inboundEvents } from '../../db/invoices/schema.ts'
import { testDb } from '../support/db.ts'
import { lockWaiters } from '../support/http.ts'
import { until } from '../support/stack.ts'
import { bothRoutes, type Route, testBilling } from './billing.ts'

const db = testDb()
const TIMES = 50

/** Makes `TIMES` calls at once. Each call gets its number, counted from 0. */
const many = <T>(call: (n: number) => Promise<T>) =>
  Promise.all(Array.from({ length: TIMES }, (_, n) => call(n)))
const routeOf = (n: number): Route => (n % 2 === 0 ? 'sync' : 'async')
const byEither = { name: 'either route', routeOf }
const ways = [byEither, ...bothRoutes.map((route) => ({ name: route, routeOf: () => route }))]

describe.each(ways)('Inbound events by $name', ({ routeOf }) => {
  test('fifty copies of one event that arrive at once are stored and applied once', async () => {
    for (let time = 0; time < 3; time++) {
      const { bill, tell, invoice, told, inboxOf } = await testBilling(db)
      const { id, number } = await bill(1_000)
      const answers = await many((n) => tell(routeOf(n), 'bank-1', n % 3 === 0 ? id : number, 400))
      expect(answers.filter(({ status }) => status !== 200 && status !== 202)).toEqual([])
      expect(answers.filter(({ body }) => !body.duplicate)).toHaveLength(1)
      const [kept, ...others] = await inboxOf()
      expect(others).toEqual([])
      for (const [n, { body }] of answers.entries()) {
        expect(body.id).toBe(kept?.id)
        if (routeOf(n) === 'sync') expect(body.status).toBe('applied')
        const paid = body.status === 'applied' ? 400 : 0
        expect([body.status, body.invoice.amount_paid]).toEqual([body.status, paid])
      }
      await applyInboundEvent(db, kept?.id ?? '', new Date())
      expect((await invoice(id)).amount_paid).toBe(400)
      expect(await told(id)).toEqual(['invoice.partially_paid'])
    }
  })

  test('fifty events of one invoice at once are all applied, and one event pays it', async () => {
    const { bill, tell, invoice, told, inboxOf } = await testBilling(db)
    const { id, number } = await bill(TIMES * 10 - 5)
    const answers = await many((n) => tell(routeOf(n), `bank-${n}`, n % 3 === 0 ? id : number, 10))
    const statuses = answers.map(({ status }) => status)
    expect(statuses).toEqual(statuses.map((_, n) => (routeOf(n) === 'sync' ? 200 : 202)))
    const kept = await inboxOf()
    expect(kept).toHaveLength(TIMES)
    await Promise.all(kept.map((event) => applyInboundEvent(db, event.id, new Date())))
    const paid = { status: 'paid', amount_paid: TIMES * 10, amount_overpaid: 5 }
    expect(await invoice(id)).toEqual(paid)
    const types = await told(id)
    expect(types.filter((type) => type === 'invoice.paid')).toHaveLength(1)
    expect(types).toHaveLength(TIMES)
  })
})

test('an event that its workflow and repeats apply at once is applied once', async () => {
  const { bill, tell, invoice, told, inboxOf } = await testBilling(db)
  const { id } = await bill(1_000)
  const [first, second] = [await tell('async', 'a', id, 300), await tell('async', 'b', id, 300)]
  await many(async (n) => {
    const { body } = n % 4 < 2 ? first : second
    if (n % 2 === 0) return void (await tell('sync', body.event_id, id, 300))
    await applyInboundEvent(db, body.id, new Date())
  })
  expect((await inboxOf()).map(({ status }) => status)).toEqual(['applied', 'applied'])
  expect(await invoice(id)).toMatchObject({ status: 'partially_paid', amount_paid: 600 })
  expect(await told(id)).toEqual(['invoice.partially_paid', 'invoice.partially_paid'])
})

test('a repeat that arrives while its event is applied waits for the outcome', async () => {
  const { merchant, bill, tell } = await testBilling(db)
  const { id } = await bill(1_000)
  await tell('async', 'bank-1', id, 400)
  const values = { merchantId: merchant.id, eventId: 'bank-1', invoice: id, amount: 400 }
  const { repeats } = await db.transaction(async (tx) => {
    await tx.select().from(inboundEvents).where(eq(inboundEvents.invoiceId, id)).for('update')
    const telling = bothRoutes.map((route) => tell(route, 'bank-1', id, 400))
    await until(async () => (await lockWaiters(db)) === telling.length, 'both to wait')
    await takeInboundEvent(tx, values, new Date())
    return { repeats: telling }
  })
  for (const { body } of await Promise.all(repeats)) {
    expect([body.status, body.duplicate]).toEqual(['applied', true])
    expect(body.invoice.amount_paid).toBe(400)
  }
})

test('one of fifty requests with one event_id and different amounts is accepted', async () => {
  const { bill, tell, invoice, inboxOf } = await testBilling(db)
  const { id } = await bill(1_000_000)
  const answers = await many((n) => tell('sync', 'bank-1', id, n + 1))
  const taken = answers.filter(({ status }) => status === 200)
  expect(taken).toHaveLength(1)
  const codes = answers.flatMap(({ body }) => body.error?.code ?? [])
  expect(codes).toEqual(Array(TIMES - 1).fill('event_id_reused'))
  expect(await inboxOf()).toHaveLength(1)
  expect((await invoice(id)).amount_paid).toBe(taken[0]?.body.amount)
})
