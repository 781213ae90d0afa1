import assert from 'node:assert/strict'
import { AppError } from '../../core/errors.ts'
import type { Db } from '../../db/client.ts'
import {
  applyInboundEvent,
  keepInboundEvent,
  takeInboundEvent,
} from '../../db/invoices/inbound-events.ts'
import { testBilling } from '../invoices/billing.ts'

/** The bank reports such a payment. `invoice` is the position of an invoice in the list. */
export type Payment = { invoice: number; amount: number }

/** The bank uses a route, or the function behind the route. `apply` does what a workflow does. */
export const ways = ['sync', 'async', 'take', 'keep', 'apply'] as const
/** `other` names the field that differs, although the id of the event is the same. */
export type Telling = {
  n: number
  way: (typeof ways)[number]
  byNumber: boolean
  other: 'amount' | 'invoice' | null
}

/** `outcome` is new, repeat, applied, nothing or an error code. `id` is our id of the event. */
export type Told = { outcome: string; id: string | undefined }

/** Makes a merchant with these invoices, and a bank whose payments are named by list position. */
export async function bankWorld(db: Db, owed: number[], payments: Payment[]) {
  const billing = await testBilling(db)
  const bills: Awaited<ReturnType<typeof billing.bill>>[] = []
  for (const amount of owed) bills.push(await billing.bill(amount))
  const billAt = (n: number) => bills[n % bills.length] ?? assert.fail()

  async function apply(id: string | undefined): Promise<Told> {
    if (!id) return { outcome: 'nothing', id }
    return { outcome: (await applyInboundEvent(db, id, new Date())).status, id }
  }

  /** `known` is our id of the event, if the event has come before. */
  async function run({ n, way, byNumber, other }: Telling, known?: string): Promise<Told> {
    if (way === 'apply') return apply(known)
    const payment = payments[n] ?? assert.fail()
    const target = billAt(payment.invoice + (other === 'invoice' ? 1 : 0))
    const invoice = byNumber ? target.number : target.id
    const amount = payment.amount + (other === 'amount' ? 1 : 0)
    if (way === 'sync' || way === 'async') {
      const { body } = await billing.tell(way, `bank-${n}`, invoice, amount)
      return { outcome: body.error?.code ?? (body.duplicate ? 'repeat' : 'new'), id: body.id }
    }
    const receive = way === 'take' ? takeInboundEvent : keepInboundEvent
    const values = { merchantId: billing.merchant.id, eventId: `bank-${n}`, invoice, amount }
    try {
      const { event, isRepeat } = await db.transaction((tx) => receive(tx, values, new Date()))
      return { outcome: isRepeat ? 'repeat' : 'new', id: event.id }
    } catch (error) {
      if (error instanceof AppError) return { outcome: error.code, id: undefined }
      throw error
    }
  }

  const keptIds = async () => (await billing.inboxOf()).map(({ id }) => id).sort()
  const invoiceAt = (n: number) => billing.invoice(billAt(n).id)
  const toldAt = (n: number) => billing.toldBodies(billAt(n).id)
  return { run, apply, keptIds, invoiceAt, toldAt }
}
