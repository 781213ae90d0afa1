import assert from 'node:assert/strict'
import { AppError } from '../../core/errors.ts'
import type { Db } from '../../db/client.ts'
import {
  applyInboundEvent,
  keepInboundEvent,
  takeInboundEvent,
} from '../../db/invoices/inbound-events.ts'
import { testBilling } from '../invoices/billing.ts'

/** What a bank has to tell of: `invoice` is which one of those that there are. */
export type Payment = { invoice: number; amount: number }

/** By one of the routes, or what they do without HTTP; `apply` is what a workflow does. */
export const ways = ['sync', 'async', 'take', 'keep', 'apply'] as const
/** `other`: what is different of it, though its id is the same. */
export type Telling = {
  n: number
  way: (typeof ways)[number]
  byNumber: boolean
  other: 'amount' | 'invoice' | null
}

/** `outcome`: new, repeat, applied, nothing, or the code of an error; `id` is ours of the event. */
export type Told = { outcome: string; id: string | undefined }

/** A merchant with these invoices, and its bank, whose payments are known by their place in the list. */
export async function bankWorld(db: Db, owed: number[], payments: Payment[]) {
  const billing = await testBilling(db)
  const bills: Awaited<ReturnType<typeof billing.bill>>[] = []
  for (const amount of owed) bills.push(await billing.bill(amount))
  const billAt = (n: number) => bills[n % bills.length] ?? assert.fail()

  async function apply(id: string | undefined): Promise<Told> {
    if (!id) return { outcome: 'nothing', id }
    return { outcome: (await applyInboundEvent(db, id, new Date())).status, id }
  }

  /** `known` is our id of it, if it has come before. */
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
