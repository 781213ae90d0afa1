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

/** Sets up a new merchant who bills, and whose bank reports incoming payments. */
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

  /** Returns the status and the sums of an invoice as the API shows them now. */
  async function invoice(id: string): Promise<Sums> {
    const { status, amount_paid, amount_overpaid } = (await call('GET', `/api/v1/invoices/${id}`))
      .body
    return { status, amount_paid, amount_overpaid }
  }

  /**
   * Returns the bodies of the events emitted for an invoice after its creation, ordered by the
   * amount paid.
   */
  async function toldBodies(invoiceId: string): Promise<ToldBody[]> {
    const rows = await db
      .select({ body: events.body })
      .from(events)
      .where(and(eq(events.resourceId, invoiceId), like(events.type, 'invoice.%paid')))
    const bodies = rows.map(({ body }) => JSON.parse(body) as ToldBody)
    return bodies.sort((a, b) => a.data.object.amount_paid - b.data.object.amount_paid)
  }

  /** Returns only the types of the events in `toldBodies`. */
  async function told(invoiceId: string): Promise<string[]> {
    return (await toldBodies(invoiceId)).map(({ type }) => type)
  }

  const inboxOf = () =>
    db.select().from(inboundEvents).where(eq(inboundEvents.merchantId, merchant.id))

  return { ...shop, bill, send, tell, invoice, told, toldBodies, inboxOf }
}
