import { eq } from 'drizzle-orm'
import {
  type PaymentStatus,
  type PaymentVerdict,
  paymentLifecycle,
} from '../../core/lifecycles/payment.ts'
import { statusesBefore } from '../../core/lifecycles/transitions.ts'
import { payments } from '../../db/payments/schema.ts'
import { settlePayment } from '../../db/payments/steps.ts'
import { events } from '../../db/webhooks/schema.ts'
import { testDb } from '../support/db.ts'
import { contents, testShop, upi } from '../support/http.ts'

const db = testDb()

/** This list writes out every move, because a money state machine must change on purpose only. */
const moves: [from: PaymentStatus, to: PaymentStatus][] = [
  ['pending', 'authorized'],
  ['pending', 'succeeded'],
  ['pending', 'failed'],
  ['pending', 'canceled'],
  ['authorized', 'succeeded'],
  ['authorized', 'failed'],
  ['authorized', 'canceled'],
]
const isMove = (from: PaymentStatus, to: PaymentStatus) =>
  moves.some(([before, after]) => before === from && after === to)

const pairs = paymentLifecycle.statuses.flatMap((from) =>
  paymentLifecycle.statuses.map((to) => [from, to] as const),
)
test.each(pairs)('core knows whether a payment goes from %s to %s', (from, to) => {
  expect(statusesBefore(paymentLifecycle.moves, to).includes(from)).toBe(isMove(from, to))
})

async function paymentIn(status: PaymentStatus) {
  const { call, merchant } = await testShop(db)
  const { body } = await call('POST', '/api/v1/payments', upi)
  const change = {
    status,
    amountCaptured: status === 'succeeded' ? upi.amount : 0,
    failureCode: status === 'failed' ? ('expired' as const) : null,
  }
  await db.update(payments).set(change).where(eq(payments.id, body.id))
  const show = async () => (await call('GET', `/api/v1/payments/${body.id}`)).body
  return { id: body.id as string, show, merchant }
}

const settle = (id: string, status: PaymentVerdict) => {
  const verdict = { status, failureCode: status === 'failed' ? ('upi_declined' as const) : null }
  return settlePayment(db, id, verdict, { feeBps: 0, now: new Date() })
}

const eventsOf = async (id: string) => {
  const rows = await db.select().from(events).where(eq(events.resourceId, id))
  return rows.map(({ type }) => type).sort()
}

const settlements = paymentLifecycle.statuses.flatMap((from) =>
  paymentLifecycle.verdicts.map((to) => [from, to, isMove(from, to)] as const),
)

test.each(settlements.filter(([, , moved]) => moved))(
  'a payment that is %s can be settled as %s',
  async (from, to) => {
    const { id, show } = await paymentIn(from)
    expect((await settle(id, to)).status).toBe(to)
    expect(await show()).toMatchObject({
      status: to,
      amount_captured: to === 'succeeded' ? upi.amount : 0,
      failure_code: to === 'failed' ? 'upi_declined' : null,
      needs_attention: false,
    })
    expect(await eventsOf(id)).toEqual(['payment.created', `payment.${to}`].sort())
  },
)

test.each(settlements.filter(([, , moved]) => !moved))(
  'a payment that is %s stays so when it is settled as %s',
  async (from, to) => {
    const { id, show } = await paymentIn(from)
    const shown = await show()
    const before = await contents(db)
    expect((await settle(id, to)).status).toBe(from)
    const late = to === 'succeeded' && from !== 'succeeded'
    if (!late) expect(await contents(db)).toEqual(before)
    const { updated_at } = await show()
    const refunded = { amount_captured: upi.amount, amount_refunded: upi.amount }
    const expected = late ? { ...shown, ...refunded, needs_attention: true, updated_at } : shown
    expect(await show()).toStrictEqual(expected)
    expect(await eventsOf(id)).toEqual(['payment.created'])
  },
)

test('one of three verdicts at once wins, and all three return the winning status', async () => {
  for (const _ of [1, 2, 3, 4, 5]) {
    const { id, show } = await paymentIn('pending')
    const settled = await Promise.all(
      paymentLifecycle.verdicts.map((verdict) => settle(id, verdict)),
    )
    const { status } = await show()
    expect(settled.map((result) => result.status)).toEqual([status, status, status])
    expect(await eventsOf(id)).toEqual(['payment.created', `payment.${status}`].sort())
  }
})

test('a payment that does not exist cannot be settled', async () => {
  await expect(settle('pay_404', 'succeeded')).rejects.toMatchObject({ code: 'not_found' })
})
