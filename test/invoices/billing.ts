import { and, eq, like } from 'drizzle-orm'
import type { Db } from '../../db/client.ts'
import { inboundEvents } from '../../db/invoices/schema.ts'
import { events } from '../../db/webhooks/schema.ts'
import type { testApp } from '../support/app.ts'
import { testShop } from '../support/http.ts'

export const routes = { sync: '/webhooks-sync/payments', async: '/webhooks/payments' } as const
export type Route = keyof typeof routes
export const bothRoutes: Route[] = ['sync', 'async']

type Sums = { status: string; amount_paid: number; amount_overpaid: number }
type ToldBody = { type: string; data: { object: Sums } }

/** A merchant of its own, who bills, and whose bank tells of what comes in. */
export async function testBilling(db: Db, options: Parameters<typeof testApp>[1] = {}) {
  const shop = await testShop(db, options)
  const { call, merchant } = shop

  async function bill(amount = 50_000, number?: number) {
    const made = await call('POST', '/api/v1/invoices', { amount, currency: 'INR', number })
    if (made.status !== 201) throw new Error(JSON.stringify(made.body))
    return made.body as { id: string; number: number }
  }

  const send = (route: Route, body: unknown) => call('POST', routes[route], body)
  const tell = (route: Route, event_id: string, invoice_id: string | number, amount: number) =>
    send(route, { event_id, invoice_id, amount })

  /** What it is now, as the API shows it. */
  async function invoice(id: string): Promise<Sums> {
    const { status, amount_paid, amount_overpaid } = (await call('GET', `/api/v1/invoices/${id}`))
      .body
    return { status, amount_paid, amount_overpaid }
  }

  /** What was told of an invoice since it was created, in the order of what had come in by then. */
  async function toldBodies(invoiceId: string): Promise<ToldBody[]> {
    const rows = await db
      .select({ body: events.body })
      .from(events)
      .where(and(eq(events.resourceId, invoiceId), like(events.type, 'invoice.%paid')))
    const bodies = rows.map(({ body }) => JSON.parse(body) as ToldBody)
    return bodies.sort((a, b) => a.data.object.amount_paid - b.data.object.amount_paid)
  }

  /** Their types alone. */
  async function told(invoiceId: string): Promise<string[]> {
    return (await toldBodies(invoiceId)).map(({ type }) => type)
  }

  const inboxOf = () =>
    db.select().from(inboundEvents).where(eq(inboundEvents.merchantId, merchant.id))

  return { ...shop, bill, send, tell, invoice, told, toldBodies, inboxOf }
}
