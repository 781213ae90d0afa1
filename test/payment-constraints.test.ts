import { newId } from '../db/ids.ts'
import { payments } from '../db/schema.ts'
import { addMerchant, testDb } from './db.ts'

const db = testDb()

test.each<[string, object]>([
  ['payments_amount_positive', { amount: 0 }],
  ['payments_amount_positive', { amount: -1 }],
  ['payments_captured_within', { status: 'succeeded', amountCaptured: 1_001 }],
  ['payments_captured_within', { amountCaptured: -1 }],
  ['payments_captured', { status: 'succeeded' }],
  ['payments_captured', { amountCaptured: 1_000 }],
  ['payments_captured', { status: 'authorized', amountCaptured: 1_000 }],
  ['payments_refunded_within', { status: 'succeeded', amountCaptured: 9, amountRefunded: 10 }],
  ['payments_refunded_within', { amountRefunded: 1 }],
  ['payments_currency_upper', { currency: 'inr' }],
  ['payments_currency_upper', { currency: 'INr' }],
  ['payments_status_known', { status: 'paid' }],
  ['payments_method_upi', { vpa: null }],
  ['payments_method_upi', { method: 'card', cardToken: 'tok_x' }],
  ['payments_method_card', { cardToken: 'tok_x' }],
  ['payments_method_card', { method: 'card', vpa: null }],
  ['payments_failure', { status: 'failed' }],
  ['payments_failure', { failureCode: 'expired' }],
])('the constraint %s refuses a payment with %j', async (constraint, change) => {
  const at = { createdAt: new Date(), updatedAt: new Date() }
  const valid = {
    merchantId: (await addMerchant(db)).id,
    amount: 1_000,
    currency: 'INR',
    method: 'upi' as const,
    captureMethod: 'automatic' as const,
    vpa: 'asha@upi',
    provider: 'sandbox',
  }
  const insert = (values: object) =>
    db.insert(payments).values({ id: newId('payment'), ...valid, ...at, ...values })
  await insert({})
  await expect(insert(change)).rejects.toMatchObject({ cause: { code: '23514', constraint } })
})
