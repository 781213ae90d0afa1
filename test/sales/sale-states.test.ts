import { eq } from 'drizzle-orm'
import { type OrderStatus, orderLifecycle } from '../../core/lifecycles/order.ts'
import { linkLifecycle, type PaymentLinkStatus } from '../../core/lifecycles/payment-link.ts'
import { statusesBefore } from '../../core/lifecycles/transitions.ts'
import { cancelOrder, fulfillOrder, markOrderPaid, refundOrder } from '../../db/orders/steps.ts'
import { closeLink, markLinkPaid } from '../../db/payment-links/steps.ts'
import { orders, paymentLinks } from '../../db/payments/schema.ts'
import { events } from '../../db/webhooks/schema.ts'
import { testDb } from '../support/db.ts'
import { contents, fail, succeed, testShop, upi } from '../support/http.ts'

const db = testDb()
const sale = { amount: 50_000, currency: 'INR' }

/** These tables repeat every move, so that a state machine changes only on purpose. */
const orderTable: [from: OrderStatus, to: OrderStatus][] = [
  ['created', 'paid'],
  ['created', 'canceled'],
  ['paid', 'fulfilled'],
  ['paid', 'canceled'],
]
const linkTable: [from: PaymentLinkStatus, to: PaymentLinkStatus][] = [
  ['active', 'paid'],
  ['active', 'expired'],
  ['active', 'canceled'],
]

const has = <T>(table: [T, T][], from: T, to: T) =>
  table.some(([before, after]) => before === from && after === to)
const pairs = <T, To extends T>(from: readonly T[], to: readonly To[]) =>
  from.flatMap((one) => to.map((other) => [one, other] as const))

test.each(pairs(orderLifecycle.statuses, orderLifecycle.statuses))(
  'core knows whether an order goes from %s to %s',
  (from, to) => {
    expect(statusesBefore(orderLifecycle.moves, to).includes(from)).toBe(has(orderTable, from, to))
  },
)

test.each(pairs(linkLifecycle.statuses, linkLifecycle.statuses))(
  'core knows whether a payment link goes from %s to %s',
  (from, to) => {
    expect(statusesBefore(linkLifecycle.moves, to).includes(from)).toBe(has(linkTable, from, to))
  },
)

const eventsOf = async (id: string) => {
  const rows = await db.select().from(events).where(eq(events.resourceId, id))
  return rows.map(({ type }) => type.split('.')[1]).sort()
}

/** Opens a shop whose endpoint gets every event, with a payment for no order or link. */
async function hearingShop() {
  const shop = await testShop(db)
  await shop.call('POST', '/api/v1/webhook_endpoints', { url: 'https://shop.example/hooks' })
  const { body: payment } = await shop.call('POST', '/api/v1/payments', upi)
  return { ...shop, paymentId: payment.id as string }
}

const orderEnds = ['paid', 'fulfilled', 'canceled'] as const
type OrderEnd = (typeof orderEnds)[number]

/**
 * Moves an order as its payment or its workflow does. Returns the deliveries of the event, or null
 * if the order can't make this move.
 */
async function moveOrder(id: string, to: OrderEnd, paymentId: string) {
  const now = new Date()
  if (to === 'paid') return db.transaction((tx) => markOrderPaid(tx, id, paymentId, now))
  const end = to === 'fulfilled' ? fulfillOrder : cancelForDeadline
  const { status, deliveries } = await end(db, id, now)
  return status === to ? deliveries : null
}

const cancelForDeadline: typeof fulfillOrder = (from, id, now) =>
  cancelOrder(from, id, 'deadline_passed', now)

const stepsTo: Record<OrderStatus, OrderEnd[]> = {
  created: [],
  paid: ['paid'],
  fulfilled: ['paid', 'fulfilled'],
  canceled: ['canceled'],
}

async function orderIn(status: OrderStatus) {
  const { call, paymentId } = await hearingShop()
  const { body } = await call('POST', '/api/v1/orders', sale)
  for (const step of stepsTo[status]) await moveOrder(body.id, step, paymentId)
  const show = async () => (await call('GET', `/api/v1/orders/${body.id}`)).body
  return { id: body.id as string, show, paymentId }
}

const orderMovesOf = pairs(orderLifecycle.statuses, orderEnds)

test.each(orderMovesOf.filter(([from, to]) => has(orderTable, from, to)))(
  'an order with status %s moves to %s and emits one event',
  async (from, to) => {
    const { id, show, paymentId } = await orderIn(from)
    const before = await show()
    const told = await moveOrder(id, to, paymentId)
    expect(told).toMatchObject([{ eventType: `order.${to}` }])
    const after = await show()
    expect(after).toStrictEqual({
      ...before,
      status: to,
      payment_id: to === 'canceled' ? before.payment_id : paymentId,
      cancellation_reason: to === 'canceled' ? 'deadline_passed' : null,
      updated_at: after.updated_at,
    })
    const [row] = await db.select().from(orders).where(eq(orders.id, id))
    expect(row?.isCompensating).toBe(to === 'canceled')
    expect(row?.nextSweepAt === null).toBe(to !== 'paid') // the saga of a paid order goes on
    expect((await eventsOf(id)).filter((type) => type === to)).toEqual([to])
  },
)

test.each(orderMovesOf.filter(([from, to]) => !has(orderTable, from, to)))(
  'an order with status %s is left unchanged by a move to %s',
  async (from, to) => {
    const { id, show, paymentId } = await orderIn(from)
    const [shown, told] = [await show(), await eventsOf(id)]
    const before = await contents(db)
    const again = await moveOrder(id, to, paymentId)
    if (from === to && to !== 'paid') expect(again).toMatchObject([{ eventType: `order.${to}` }])
    else expect(again).toBeNull()
    expect(await contents(db)).toEqual(before)
    expect([await show(), await eventsOf(id)]).toStrictEqual([shown, told])
  },
)

test('one of a fulfill and a cancel at the same moment ends an order, and both return its status', async () => {
  const both = [fulfillOrder, cancelForDeadline]
  for (const ends of [both, both.toReversed(), both, both.toReversed()]) {
    const { id, show } = await orderIn('paid')
    const ended = await Promise.all(ends.map((end) => end(db, id, new Date())))
    const { status } = await show()
    expect(ended.map((result) => result.status)).toEqual([status, status])
    expect(await eventsOf(id)).toEqual(['created', 'paid', status].sort())
  }
})

test('the end of a compensation is recorded, and the API shows the order unchanged', async () => {
  const { id, show } = await orderIn('canceled')
  const shown = await show()
  expect(await refundOrder(db, id, new Date())).toBeNull()
  const [row] = await db.select().from(orders).where(eq(orders.id, id))
  expect(row).toMatchObject({ isCompensating: false, nextSweepAt: null })
  expect(await show()).toStrictEqual(shown)
})

const linkEnds = ['paid', 'expired', 'canceled'] as const
type LinkEnd = (typeof linkEnds)[number]

/** Moves a payment link as `moveOrder` moves an order. */
async function moveLink(id: string, to: LinkEnd, paymentId: string) {
  const now = new Date()
  if (to === 'paid') return db.transaction((tx) => markLinkPaid(tx, id, paymentId, now))
  const { status, deliveries } = await closeLink(db, id, to, now)
  return status === to ? deliveries : null
}

async function linkIn(status: PaymentLinkStatus) {
  const { call, paymentId } = await hearingShop()
  const { body } = await call('POST', '/api/v1/payment_links', sale)
  if (status !== 'active') await moveLink(body.id, status, paymentId)
  const show = async () => (await call('GET', `/api/v1/payment_links/${body.id}`)).body
  const pay = async () =>
    (await call('POST', `/pay/${body.id}`, { method: 'upi', vpa: 'test@upi' })).body.id as string
  return { id: body.id as string, show, paymentId, pay }
}

const linkMovesOf = pairs(linkLifecycle.statuses, linkEnds)

test.each(linkMovesOf.filter(([from, to]) => has(linkTable, from, to)))(
  'a payment link with status %s moves to %s and emits one event',
  async (from, to) => {
    const { id, show, paymentId } = await linkIn(from)
    const before = await show()
    expect(await moveLink(id, to, paymentId)).toMatchObject([{ eventType: `payment_link.${to}` }])
    const after = await show()
    expect(after).toStrictEqual({
      ...before,
      status: to,
      payment_id: to === 'paid' ? paymentId : null,
      updated_at: after.updated_at,
    })
    const [row] = await db.select().from(paymentLinks).where(eq(paymentLinks.id, id))
    expect(row?.nextSweepAt).toBeNull()
    expect(await eventsOf(id)).toEqual(['created', to].sort())
  },
)

test.each(linkMovesOf.filter(([from, to]) => !has(linkTable, from, to)))(
  'a payment link with status %s is left unchanged by a move to %s',
  async (from, to) => {
    const { id, paymentId } = await linkIn(from)
    const before = await contents(db)
    const again = await moveLink(id, to, paymentId)
    if (from === to && to !== 'paid')
      expect(again).toMatchObject([{ eventType: `payment_link.${to}` }])
    else expect(again).toBeNull()
    expect(await contents(db)).toEqual(before)
  },
)

test('a payment link with an open payment is closed only after the payment has failed', async () => {
  const { id, show, pay } = await linkIn('active')
  const payment = await pay()
  const before = await contents(db)
  for (const to of ['expired', 'canceled'] as const)
    expect(await closeLink(db, id, to, new Date())).toEqual({
      status: 'active',
      paymentId: payment,
      deliveries: [],
    })
  expect(await contents(db)).toEqual(before)
  await fail(db, payment)
  expect((await closeLink(db, id, 'expired', new Date())).status).toBe('expired')
  expect((await show()).status).toBe('expired')
})

test('a link that is paid, expired and canceled at once ends once, and each call names the winner', async () => {
  for (const _ of [1, 2, 3, 4, 5]) {
    const { id, show, pay } = await linkIn('active')
    const payment = await pay()
    const [, ...closed] = await Promise.all([
      succeed(db, payment),
      closeLink(db, id, 'expired', new Date()),
      closeLink(db, id, 'canceled', new Date()),
    ])
    for (const { status, paymentId } of closed) {
      expect(['active', 'paid']).toContain(status) // closed before or after the payment succeeded
      expect(paymentId).toBe(payment)
    }
    expect(await show()).toMatchObject({ status: 'paid', payment_id: payment })
    expect(await eventsOf(id)).toEqual(['created', 'paid'])

    const idle = await linkIn('active')
    const ends = ['expired', 'canceled'] as const
    const ended = await Promise.all(ends.map((to) => closeLink(db, idle.id, to, new Date())))
    const { status } = await idle.show()
    expect(ended.map((result) => result.status)).toEqual([status, status])
    expect(await eventsOf(idle.id)).toEqual(['created', status].sort())
  }
})
