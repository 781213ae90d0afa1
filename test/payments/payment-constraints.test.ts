import { newId } from '../../db/ids.ts'
import { payments } from '../../db/payments/schema.ts'
import { payouts } from '../../db/payouts/schema.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { addMerchant, testDb } from '../support/db.ts'

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
  const valid = { ...(await ownedNow()), ...byUpi }
  const insert = (values: object) =>
    db.insert(payments).values({ id: newId('payment'), ...valid, ...values })
  await insert({})
  await expect(insert(change)).rejects.toMatchObject({ cause: { code: '23514', constraint } })
})

test.each<[string, object]>([
  ['payments_captured', { status: 'failed', failureCode: 'expired', amountCaptured: 1_000 }],
  ['payments_captured', { status: 'canceled', amountCaptured: 1_000 }],
])('a late success does not break the constraint %s', async (_, late) => {
  const values = { ...(await ownedNow()), ...byUpi, ...late }
  await db.insert(payments).values({ id: newId('payment'), ...values })
})

test.each<[string, object]>([
  ['refunds_amount_positive', { amount: 0 }],
  ['refunds_amount_positive', { amount: -1 }],
  ['refunds_currency_upper', { currency: 'inr' }],
  ['refunds_status_known', { status: 'completed' }],
  ['refunds_failure', { status: 'failed' }],
  ['refunds_failure', { failureCode: 'declined' }],
])('the constraint %s refuses a refund with %j', async (constraint, change) => {
  const owned = await ownedNow()
  const paymentId = newId('payment')
  await db.insert(payments).values({ id: paymentId, ...owned, ...byUpi })
  const insert = (values: object) =>
    db.insert(refunds).values({ id: newId('refund'), ...owned, ...sent, paymentId, ...values })
  await insert({})
  await expect(insert(change)).rejects.toMatchObject({ cause: { code: '23514', constraint } })
})

test.each<[string, object]>([
  ['payouts_amount_positive', { amount: 0 }],
  ['payouts_amount_positive', { amount: -1 }],
  ['payouts_currency_upper', { currency: 'InR' }],
  ['payouts_status_known', { status: 'succeeded' }],
  ['payouts_failure', { status: 'failed' }],
  ['payouts_failure', { status: 'completed', failureCode: 'returned' }],
])('the constraint %s refuses a payout with %j', async (constraint, change) => {
  const owned = await ownedNow()
  const destination = { type: 'vpa' as const, vpa: 'se***@upi' }
  const valid = { ...owned, ...sent, destination, destinationSealed: 'x' }
  const insert = (values: object) =>
    db.insert(payouts).values({ id: newId('payout'), ...valid, ...values })
  await insert({})
  await expect(insert(change)).rejects.toMatchObject({ cause: { code: '23514', constraint } })
})

const sent = { amount: 1_000, currency: 'INR', provider: 'sandbox' }
const byUpi = {
  ...sent,
  method: 'upi' as const,
  captureMethod: 'automatic' as const,
  vpa: 'asha@upi',
}

async function ownedNow() {
  const { id: merchantId } = await addMerchant(db)
  return { merchantId, createdAt: new Date(), updatedAt: new Date() }
}
