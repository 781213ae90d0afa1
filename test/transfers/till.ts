import type { Db } from '../../db/client.ts'
import { newId } from '../../db/ids.ts'
import { settlePayout } from '../../db/payouts/steps.ts'
import { settleRefund } from '../../db/refunds/steps.ts'
import type { testApp } from '../support/app.ts'
import { succeed, testShop, upi } from '../support/http.ts'

export const toVpa = { type: 'vpa', vpa: 'seller.one@upi' }
export const toBank = {
  type: 'bank_account',
  account_number: 'DE89370400440532013000',
  bank_code: 'HDFC0000123',
  holder_name: 'Asha Rao',
}

type Sums = { amount: number; currency: string }[]

/** Makes a new merchant, who has, takes and sends money. Amounts are in minor units. */
export async function testTill(db: Db, options: Parameters<typeof testApp>[1] = {}) {
  const shop = await testShop(db, options)
  const { call } = shop
  const post = (path: string, body: object, key?: string) =>
    call('POST', `/api/v1/${path}`, body, key ? { 'idempotency-key': key } : {})
  const get = (path: string) => call('GET', `/api/v1/${path}`)

  /** Returns the id of the new object, and throws unless the answer is 201. */
  async function made(path: string, body: object): Promise<string> {
    const answer = await post(path, body)
    if (answer.status !== 201) throw new Error(`${path}: ${JSON.stringify(answer.body)}`)
    return answer.body.id
  }

  const topUp = (amount: number, currency = 'INR') =>
    made('test/balance_topups', { amount, currency })
  const payOut = (amount: number, currency = 'INR') =>
    made('payouts', { amount, currency, destination: toVpa })
  const refund = (paymentId: string, amount: number) =>
    made(`payments/${paymentId}/refunds`, { amount })

  /** Makes a payment that succeeded. */
  async function paid(amount = 50_000, feeBps = 0): Promise<string> {
    const id = await made('payments', { ...upi, amount })
    await succeed(db, id, feeBps)
    return id
  }

  /** Returns the balance of one currency. */
  async function sums(currency = 'INR') {
    const { body } = await get('balance')
    const sum = (all: Sums) => all.find((each) => each.currency === currency)?.amount ?? null
    return { available: sum(body.available), held: sum(body.held), owed: sum(body.owed) }
  }

  return { ...shop, post, get, topUp, payOut, refund, paid, sums }
}

export function settleRefundAs(db: Db, id: string, status: 'succeeded' | 'failed') {
  const failureCode = status === 'failed' ? ('declined' as const) : null
  return settleRefund(db, id, { status, failureCode, ref: newId('sandboxTransfer') }, new Date())
}

export function settlePayoutAs(db: Db, id: string, status: 'completed' | 'failed' | 'canceled') {
  const failureCode = status === 'failed' ? ('declined' as const) : null
  return settlePayout(db, id, { status, failureCode, ref: newId('sandboxTransfer') }, new Date())
}
