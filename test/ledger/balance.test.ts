import type { balanceTransactionTypes } from '../../core/money/ledger.ts'
import { settlePayment } from '../../db/payments/steps.ts'
import { testDb } from '../support/db.ts'
import { expectRefusal, fail, upi } from '../support/http.ts'
import { settlePayoutAs, settleRefundAs, testTill } from '../transfers/till.ts'

const db = testDb()

let till: Awaited<ReturnType<typeof testTill>>
beforeEach(async () => {
  till = await testTill(db)
})

type Posting = { account: string; amount: number }
type Transaction = {
  id: string
  type: (typeof balanceTransactionTypes)[number]
  amount: number
  currency: string
  source: string
  postings: Posting[]
}

async function transactions(query = ''): Promise<Transaction[]> {
  return (await till.get(`balance_transactions?limit=100${query}`)).body.data
}

/** Returns what was booked of a source, oldest first: the type and the postings of each booking. */
async function bookedOf(source: string) {
  const all = (await transactions(`&source=${source}`)).reverse()
  return all.map(({ type, amount, postings }) => {
    const posted = Object.fromEntries(postings.map((each) => [each.account, each.amount]))
    expect(amount).toBe(posted.available ?? 0)
    return [type, posted]
  })
}

/** Checks that the balance is the sum of its postings, and that each transaction sums to zero. */
afterEach(async () => {
  const { body } = await till.get('balance')
  const summed: Record<string, number> = {}
  for (const { currency, postings } of await transactions()) {
    expect(postings.reduce((sum, { amount }) => sum + amount, 0)).toBe(0)
    for (const { account, amount } of postings)
      summed[`${account} ${currency}`] = (summed[`${account} ${currency}`] ?? 0) + amount
  }
  const signs = { available: 1, held: 1, owed: -1 }
  for (const [name, sign] of Object.entries(signs))
    for (const { amount, currency } of body[name]) {
      const account = name === 'owed' ? 'receivable' : name
      expect(amount).toBe(sign * (summed[`${account} ${currency}`] ?? 0) + 0)
      expect(amount).toBeGreaterThanOrEqual(0)
    }
})

test('a new merchant has no balance in any currency', async () => {
  const { status, body } = await till.get('balance')
  expect(status).toBe(200)
  expect(body).toStrictEqual({ object: 'balance', available: [], held: [], owed: [] })
})

test('a payment that fails adds nothing to the balance', async () => {
  const { id } = (await till.post('payments', upi)).body
  await fail(db, id)
  expect((await till.get('balance')).body.available).toEqual([])
})

test('topups are available in separate currencies, in the order of the codes', async () => {
  await till.topUp(700, 'usd')
  await till.topUp(300, 'INR')
  await till.topUp(5, 'INR')
  const nothing = [
    { amount: 0, currency: 'INR' },
    { amount: 0, currency: 'USD' },
  ]
  expect((await till.get('balance')).body).toStrictEqual({
    object: 'balance',
    available: [
      { amount: 305, currency: 'INR' },
      { amount: 700, currency: 'USD' },
    ],
    held: nothing,
    owed: nothing,
  })
})

test('a payment credits its amount less the fee', async () => {
  const id = await till.paid(50_000, 250)
  expect(await till.sums()).toEqual({ available: 48_750, held: 0, owed: 0 })
  expect(await bookedOf(id)).toEqual([
    ['payment', { available: 48_750, fees: 1_250, clearing: -50_000 }],
  ])
})

test('the largest amounts add up', async () => {
  for (let n = 0; n < 12; n++) await till.topUp(999_999_999_999)
  expect(await till.sums()).toEqual({ available: 11_999_999_999_988, held: 0, owed: 0 })
  for (let n = 0; n < 12; n++) await till.payOut(999_999_999_999)
  expect(await till.sums()).toEqual({ available: 0, held: 11_999_999_999_988, owed: 0 })
  const payout = { amount: 1, currency: 'INR', destination: { type: 'vpa', vpa: 'a@upi' } }
  expectRefusal(await till.post('payouts', payout), 422, 'insufficient_balance', 'amount')
})

describe('A refund', () => {
  let id: string
  beforeEach(async () => {
    id = await till.refund(await till.paid(50_000), 20_000)
  })
  const held = ['refund', { available: -20_000, held: 20_000 }]

  test('a pending refund is held', async () => {
    expect(await till.sums()).toEqual({ available: 30_000, held: 20_000, owed: 0 })
    expect(await bookedOf(id)).toEqual([held])
  })

  test('a refund that succeeds leaves the held balance', async () => {
    for (let n = 0; n < 2; n++) await settleRefundAs(db, id, 'succeeded')
    expect(await till.sums()).toEqual({ available: 30_000, held: 0, owed: 0 })
    expect(await bookedOf(id)).toEqual([
      held,
      ['refund_settlement', { held: -20_000, clearing: 20_000 }],
    ])
  })

  test('a refund that fails returns to the available balance', async () => {
    for (let n = 0; n < 2; n++) await settleRefundAs(db, id, 'failed')
    expect(await till.sums()).toEqual({ available: 50_000, held: 0, owed: 0 })
    expect(await bookedOf(id)).toEqual([
      held,
      ['refund_failure', { held: -20_000, available: 20_000 }],
    ])
  })

  test('a refund that fails after it succeeded returns to the available balance', async () => {
    for (const status of ['succeeded', 'failed', 'failed', 'succeeded', 'succeeded'] as const)
      await settleRefundAs(db, id, status)
    expect(await till.sums()).toEqual({ available: 50_000, held: 0, owed: 0 })
    expect((await bookedOf(id)).slice(2)).toEqual([
      ['refund_failure', { clearing: -20_000, available: 20_000 }],
    ])
  })

  test('a refund that succeeds after it failed is owed as far as the money is spent', async () => {
    await settleRefundAs(db, id, 'failed')
    await till.payOut(45_000)
    for (let n = 0; n < 2; n++) await settleRefundAs(db, id, 'succeeded')
    expect(await till.sums()).toEqual({ available: 0, held: 45_000, owed: 15_000 })
    expect((await bookedOf(id)).slice(2)).toEqual([
      ['late_refund', { clearing: 20_000, available: -5_000, receivable: -15_000 }],
    ])
  })
})

describe('A payout', () => {
  let id: string
  beforeEach(async () => {
    await till.topUp(50_000)
    id = await till.payOut(20_000)
  })
  const held = ['payout', { available: -20_000, held: 20_000 }]

  test('a pending payout is held', async () => {
    expect(await till.sums()).toEqual({ available: 30_000, held: 20_000, owed: 0 })
    expect(await bookedOf(id)).toEqual([held])
  })

  test.each([
    ['completed', 'payout_settlement', 30_000, { held: -20_000, clearing: 20_000 }],
    ['failed', 'payout_failure', 50_000, { held: -20_000, available: 20_000 }],
    ['canceled', 'payout_cancel', 50_000, { held: -20_000, available: 20_000 }],
  ] as const)('a payout that is %s is booked once', async (status, type, available, posted) => {
    for (let n = 0; n < 3; n++) await settlePayoutAs(db, id, status)
    expect(await till.sums()).toEqual({ available, held: 0, owed: 0 })
    expect(await bookedOf(id)).toEqual([held, [type, posted]])
  })

  test('a completed payout that is returned goes back to the available balance', async () => {
    for (const status of ['completed', 'failed', 'completed', 'failed'] as const)
      await settlePayoutAs(db, id, status)
    expect(await till.sums()).toEqual({ available: 50_000, held: 0, owed: 0 })
    expect((await bookedOf(id)).slice(2)).toEqual([
      ['payout_failure', { clearing: -20_000, available: 20_000 }],
    ])
    expect((await till.get(`payouts/${id}`)).body).toMatchObject({
      status: 'failed',
      needs_attention: false,
    })
  })

  test.each(['failed', 'canceled'] as const)(
    'a payout that completes after it was %s is owed, and incoming money repays it',
    async (status) => {
      await settlePayoutAs(db, id, status)
      const spent = await till.payOut(50_000)
      for (let n = 0; n < 2; n++) await settlePayoutAs(db, id, 'completed')
      expect(await till.sums()).toEqual({ available: 0, held: 50_000, owed: 20_000 })
      expect((await bookedOf(id)).slice(2)).toEqual([
        ['late_payout', { clearing: 20_000, receivable: -20_000 }],
      ])
      expect((await till.get(`payouts/${id}`)).body).toMatchObject({
        status,
        needs_attention: true,
      })

      const topup = await till.topUp(5_000)
      expect(await till.sums()).toEqual({ available: 0, held: 50_000, owed: 15_000 })
      expect(await bookedOf(topup)).toEqual([['topup', { clearing: -5_000, receivable: 5_000 }]])
      const payout = { amount: 1, currency: 'INR', destination: { type: 'vpa', vpa: 'a@upi' } }
      expectRefusal(await till.post('payouts', payout), 422, 'insufficient_balance', 'amount')

      const payment = await till.paid(10_000, 100)
      expect(await till.sums()).toEqual({ available: 0, held: 50_000, owed: 5_100 })
      expect(await bookedOf(payment)).toEqual([
        ['payment', { clearing: -10_000, fees: 100, receivable: 9_900 }],
      ])
      await till.topUp(7_000, 'USD') // another currency repays nothing
      await settlePayoutAs(db, spent, 'failed')
      expect(await till.sums()).toEqual({ available: 44_900, held: 0, owed: 0 })
      expect((await bookedOf(spent)).at(-1)).toEqual([
        'payout_failure',
        { held: -50_000, available: 44_900, receivable: 5_100 },
      ])
    },
  )

  test('verdicts of a payout that arrive at once are each booked once', async () => {
    const all = ['completed', 'failed', 'canceled', 'completed', 'failed'] as const
    await Promise.all([...all, ...all].map((status) => settlePayoutAs(db, id, status)))
    const types = (await bookedOf(id)).map(([type]) => type)
    expect(new Set(types).size).toBe(types.length)
    expect((await till.sums()).held).toBe(0)
  })
})

test('a late payment is held for its refund, and the merchant cannot spend it', async () => {
  const { id } = (await till.post('payments', upi)).body
  await fail(db, id)
  const verdict = { status: 'succeeded', failureCode: null } as const
  for (let n = 0; n < 2; n++) await settlePayment(db, id, verdict, { feeBps: 100, now: new Date() })
  expect(await till.sums()).toEqual({ available: 0, held: 50_000, owed: 0 })
  expect(await bookedOf(id)).toEqual([['late_payment', { clearing: -50_000, held: 50_000 }]])
  const [{ id: refund }] = (await till.get(`payments/${id}/refunds`)).body.data
  await settleRefundAs(db, refund, 'succeeded')
  expect(await till.sums()).toEqual({ available: 0, held: 0, owed: 0 })
})
