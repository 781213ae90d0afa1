import { and, asc, eq, like } from 'drizzle-orm'
import type { Db } from '../db/client.ts'
import { inboundEvents } from '../db/invoice-schema.ts'
import { events } from '../db/webhook-schema.ts'
import type { testApp } from './app.ts'
import { testShop } from './http.ts'

export const routes = { sync: '/webhooks-sync/payments', async: '/webhooks/payments' } as const
export type Route = keyof typeof routes
export const bothRoutes: Route[] = ['sync', 'async']

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
  async function invoice(id: string) {
    const { status, amount_paid, amount_overpaid } = (await call('GET', `/api/v1/invoices/${id}`))
      .body
    return { status, amount_paid, amount_overpaid }
  }

  /** The types of what was told of an invoice since it was created, oldest first. */
  async function told(invoiceId: string): Promise<string[]> {
    const rows = await db
      .select({ type: events.type })
      .from(events)
      .where(and(eq(events.resourceId, invoiceId), like(events.type, 'invoice.%paid')))
      .orderBy(asc(events.id))
    return rows.map(({ type }) => type)
  }

  const inboxOf = () =>
    db.select().from(inboundEvents).where(eq(inboundEvents.merchantId, merchant.id))

  return { ...shop, bill, send, tell, invoice, told, inboxOf }
}
