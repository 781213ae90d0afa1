import { isCommand } from './client.ts'
import { type Payment, type Refund, type Rows, sum } from './rows.ts'
import type { Shop } from './shop.ts'

type Order = Rows['orders'][number]
type Link = Rows['links'][number]

/** Checks each order against its command or deadline. A canceled order gave back what was paid. */
export function expectOrdersKept(shop: Shop, rows: Rows): void {
  for (const order of rows.orders) {
    const { id, amount, status } = order
    const payments = rows.payments.filter(({ orderId }) => orderId === id)
    const paid = paidBy(payments, amount)
    const obeyed = obeyedOf(shop, `/api/v1/orders/${id}/`)
    expect(order).toMatchObject({ id, ...endOfOrder(order, paid, obeyed), isCompensating: false })
    if (status === 'canceled') for (const one of payments) expectGivenBack(one, rows.refunds)
  }
}

/** Only a command that got a 200 took effect, and at most one command got a 200. */
function endOfOrder(order: Order, paid: string | null, [obeyed, ...more]: string[]) {
  expect([order.id, more]).toEqual([order.id, []])
  if (obeyed === 'fulfilled')
    return { status: obeyed, cancellationReason: null, paymentId: paid ?? 'some payment' }
  if (!obeyed && !isOver(order.fulfilBy))
    return { status: paid ? 'paid' : 'created', cancellationReason: null, paymentId: paid }
  const cancellationReason = obeyed ? 'requested' : 'deadline_passed'
  const wasPaid = order.paymentId !== null // money after the cancel does not pay it
  const paymentId = wasPaid ? (paid ?? 'some payment') : null
  return { status: 'canceled', cancellationReason, paymentId }
}

function expectGivenBack({ id, amountCaptured, amountRefunded }: Payment, refunds: Refund[]): void {
  const theirs = refunds.filter(({ paymentId }) => paymentId === id)
  const arrived = theirs.filter(({ status }) => status === 'succeeded')
  const given = sum(arrived.map(({ amount }) => amount))
  expect({ id, amountRefunded, given }).toEqual({
    id,
    amountRefunded: amountCaptured,
    given: amountCaptured,
  })
}

/** Checks that each link is paid at most once, and that a link that is not paid has no money. */
export function expectLinksKept(shop: Shop, rows: Rows): void {
  for (const link of rows.links) {
    const { id, amount } = link
    const payments = rows.payments.filter(({ paymentLinkId }) => paymentLinkId === id)
    const paid = paidBy(payments, amount)
    const obeyed = obeyedOf(shop, `/api/v1/payment_links/${id}/`)
    expect(link).toMatchObject({ id, status: endOfLink(link, paid, obeyed), paymentId: paid })
    const captured = sum(payments.map(({ amountCaptured }) => amountCaptured))
    expect([id, captured]).toEqual([id, paid ? amount : 0])
  }
}

function endOfLink({ expiresAt }: Link, paid: string | null, [obeyed]: string[]): string {
  if (obeyed || paid) return obeyed ?? 'paid'
  return expiresAt && isOver(expiresAt) ? 'expired' : 'active'
}

/** Returns the only payment that succeeded. Every payment must be of the whole amount. */
function paidBy(payments: Payment[], amount: number): string | null {
  expect(payments.filter((one) => one.amount !== amount)).toEqual([])
  const paid = payments.filter(({ status }) => status === 'succeeded').map(({ id }) => id)
  expect(paid.slice(1)).toEqual([])
  return paid[0] ?? null
}

/** Returns the statuses from the answers to the commands under this path that got a 200. */
function obeyedOf({ client }: Shop, path: string): string[] {
  const told = client.asked.filter((one) => isCommand(one) && one.path.startsWith(path))
  return told.flatMap(({ answers: [one] }) => (one && 'id' in one ? [one.status] : []))
}

function isOver(time: Date): boolean {
  return time.getTime() <= Date.now()
}

/** Returns each step of the orders and links as `<id> <type>`. */
export function stepsOfSales({ orders, links }: Rows): string[] {
  return [
    ...orders.flatMap(({ id, status, paymentId }) => [
      `${id} order.created`,
      ...(paymentId ? [`${id} order.paid`] : []),
      ...(status === 'fulfilled' || status === 'canceled' ? [`${id} order.${status}`] : []),
    ]),
    ...links.flatMap(({ id, status }) => [
      `${id} payment_link.created`,
      ...(status === 'active' ? [] : [`${id} payment_link.${status}`]),
    ]),
  ]
}
