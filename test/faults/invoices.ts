import { invoiceStatus } from '../../core/lifecycles/invoice.ts'
import type { Asked } from './client.ts'
import { type Rows, sum } from './rows.ts'
import type { Shop } from './shop.ts'

type Invoice = Rows['invoices'][number]
type InboundEvent = Rows['inbound'][number]
type Told = { invoice_id: string | number; event_id: string; amount: number }

/** Checks that each acknowledged event is applied once, and that an invoice sums its events up. */
export function expectInvoicesKept({ client }: Shop, rows: Rows): void {
  const asked = client.asked.filter(({ path }) => path.startsWith('/webhooks'))
  const theirs = new Set(asked.map(({ body }) => (body as Told).event_id))
  expect(rows.inbound.map(({ eventId }) => eventId).sort()).toEqual([...theirs].sort())
  for (const event of rows.inbound) expectAnswered(event, asked)
  for (const invoice of rows.invoices) {
    const { id, amount, amountPaid, status } = invoice
    const events = rows.inbound.filter(({ invoiceId }) => invoiceId === id)
    const total = sum(events.map((one) => one.amount))
    const end = { amountPaid: total, status: invoiceStatus(amount, total) }
    expect({ id, amountPaid, status }).toEqual({ id, ...end })
    expectToldInTurn(invoice, events, rows)
  }
}

/** Checks that at most one answer calls the event new, and that all answers show the same event. */
function expectAnswered(event: InboundEvent, asked: Asked[]): void {
  const { id, eventId, invoiceId, amount, status } = event
  expect({ eventId, status }).toEqual({ eventId, status: 'applied' })
  const answers = asked.flatMap((one) => {
    const told = one.body as Told
    return told.event_id === eventId ? one.answers.map((answer) => ({ told, answer })) : []
  })
  const kept = { id, event_id: eventId, invoice_id: invoiceId, amount }
  for (const { told, answer } of answers) {
    if (told.amount === amount) expect(answer).toMatchObject(kept)
    else expect(answer).toEqual({ refused: 'event_id_reused' })
  }
  const first = answers.filter(({ answer }) => 'id' in answer && answer.duplicate === false)
  expect([eventId, first.slice(1)]).toEqual([eventId, []])
}

/** Checks that each event that paid an open amount emitted one event, with the sum paid by then. */
function expectToldInTurn({ id, amount }: Invoice, events: InboundEvent[], rows: Rows): void {
  const told = rows.events
    .filter(({ resourceId, type }) => resourceId === id && type !== 'invoice.created')
    .map((one) => ({
      id: one.id,
      type: one.type,
      paid: JSON.parse(one.body).data.object.amount_paid,
    }))
    .sort((a, b) => a.paid - b.paid)
  let paid = 0
  const inTurn = told.map((one) => {
    paid += sum(events.filter(({ toldBy }) => toldBy === one.id).map((event) => event.amount))
    return { id: one.id, type: `invoice.${invoiceStatus(amount, paid)}`, paid }
  })
  expect(told).toEqual(inTurn)
  const telling = events.flatMap(({ toldBy }) => toldBy ?? [])
  expect(telling.sort()).toEqual(told.map((one) => one.id).sort())
  expect(told.slice(0, -1).filter(({ type }) => type === 'invoice.paid')).toEqual([])
  if (telling.length < events.length) expect(told.at(-1)?.type).toBe('invoice.paid')
}
