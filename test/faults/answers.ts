import { type Asked, type Body, isCommand } from './client.ts'
import type { Command, Payment, Rows } from './rows.ts'
import type { Shop } from './shop.ts'

/** Only requests to these paths make objects of these kinds. */
const madeAt = {
  payments: /^\/(api\/v1\/payments|pay\/[^/]+)$/,
  refunds: /\/refunds$/,
  payouts: /\/payouts$/,
  orders: /\/orders$/,
  links: /\/payment_links$/,
  invoices: /\/invoices$/,
}

/**
 * Checks that the answers to each Idempotency-Key agree, and that only the objects in the answers
 * exist, each once. Only refunds of canceled orders exist without a request.
 */
export function expectEachAnswerKept({ client }: Shop, rows: Rows): void {
  for (const { answers } of client.asked) {
    expect(answers.length).toBeGreaterThan(0)
    expect(answers.map(lasting)).toEqual(answers.map(() => answers[0] && lasting(answers[0])))
  }
  const isAsked = ({ reason }: Rows['refunds'][number]) => reason === null
  const asked = { ...rows, refunds: rows.refunds.filter(isAsked) }
  for (const kind of Object.keys(madeAt) as (keyof typeof madeAt)[]) {
    const theirs = client.asked.filter(({ path }) => madeAt[kind].test(path))
    const made = theirs.flatMap(({ answers: [one] }) => (one && 'id' in one ? [one.id] : []))
    expect(made.sort()).toEqual(asked[kind].map(({ id }) => id).sort())
  }
  for (const { reason, paymentId } of rows.refunds.filter((one) => !isAsked(one))) {
    const payment = rows.payments.find(({ id }) => id === paymentId)
    const order = rows.orders.find(({ id }) => id === payment?.orderId)
    expect(order).toMatchObject({ status: 'canceled' })
    expect(reason).toBe(`Order ${order?.id} was canceled`)
  }
  const marked = [...rows.payments, ...rows.payouts].filter(({ needsAttention }) => needsAttention)
  expect(marked).toEqual([])
}

/**
 * Returns the part of an answer that a repeat also gets. A repeated inbound event shows its current
 * state. Its `created_at` is left out, because `passTime` makes rows older during the load.
 */
function lasting(answer: Body | { refused: string }) {
  if (!('id' in answer) || answer.object !== 'inbound_event') return answer
  const { id, event_id, invoice_id, amount } = answer
  return { id, event_id, invoice_id, amount }
}

/**
 * Checks that each command was done or came too late, as its answer said, and that one command
 * ended each payment that waited for a command.
 */
export function expectCommandsAnswered({ client }: Shop, rows: Rows): void {
  expect(rows.commands.filter(({ nextSweepAt }) => nextSweepAt)).toEqual([])
  const done = rows.commands.filter(({ status }) => status === 'done')
  const refused = rows.commands.filter(({ status }) => status === 'refused')
  expect(refused.length + done.length).toBe(rows.commands.length)
  const asked = client.asked.filter(isCommand)
  const obeyed = asked.filter(({ answers: [answer] }) => answer && 'id' in answer)
  const byHand = done.filter((command) => !isOurs(command, rows, client.asked, obeyed))
  expect(byHand.map(nameOf).sort()).toEqual(obeyed.map(saysWhat).sort())

  const waited = rows.payments.filter(
    ({ status, captureMethod }) =>
      status === 'canceled' || (captureMethod === 'manual' && status === 'succeeded'),
  )
  const ofPayments = done.filter(({ resourceId }) =>
    rows.payments.some(({ id }) => id === resourceId),
  )
  expect(ofPayments.map((one) => one.resourceId).sort()).toEqual(waited.map(({ id }) => id).sort())
  for (const payment of waited) {
    const command = ofPayments.find(({ resourceId }) => resourceId === payment.id)
    expectDone(payment, command)
    const { id, status, amountCaptured } = payment
    const answers = obeyed.filter(({ path }) => path.includes(id)).map((one) => one.answers[0])
    const said = { id, status, amount_captured: amountCaptured }
    expect(answers).toMatchObject(command && byHand.includes(command) ? [said] : [])
  }
}

function expectDone({ amount, amountCaptured, status }: Payment, command: Command | undefined) {
  expect({ status, amountCaptured }).toEqual(
    command?.kind === 'capture'
      ? { status: 'succeeded', amountCaptured: command.amount ?? amount }
      : { status: 'canceled', amountCaptured: 0 },
  )
}

/**
 * Says whether Remit itself sent a command. A canceled order or link cancels its open payment. When
 * another payer comes, a link also cancels a payment that has been without a verdict for long. That
 * happens soon here, because `passTime` makes rows older.
 */
function isOurs(command: Command, rows: Rows, asked: Asked[], obeyed: Asked[]): boolean {
  const payment = rows.payments.find(({ id }) => id === command.resourceId)
  if (!payment || command.kind !== 'cancel') return false
  if (obeyed.map(saysWhat).includes(nameOf(command))) return false
  const { orderId, paymentLinkId } = payment
  const paidFor = [...rows.orders, ...rows.links].find(
    ({ id }) => id === orderId || id === paymentLinkId,
  )
  const payers = asked.filter(({ path }) => path === `/pay/${paymentLinkId}`)
  return paidFor?.status === 'canceled' || payers.length > 1
}

function nameOf({ resourceId, kind }: Command): string {
  return `${resourceId} ${kind}`
}

/** Returns the name that `nameOf` gives to the command. A link's cancel is the command `close`. */
function saysWhat({ path }: Asked): string {
  const [resource, id, verb] = path.split('/').slice(-3)
  return `${id} ${resource === 'payment_links' ? 'close' : verb}`
}
