import { eq, sql } from 'drizzle-orm'
import { type Account, topUp } from '../../core/money/ledger.ts'
import type { Tx } from '../../db/client.ts'
import { newId } from '../../db/ids.ts'
import { postTransaction } from '../../db/ledger/ledger.ts'
import { balanceTransactions, ledgerAccounts, ledgerPostings } from '../../db/ledger/schema.ts'
import { settlePayment } from '../../db/payments/steps.ts'
import { events } from '../../db/webhooks/schema.ts'
import { addMerchant, balanceOf, testDb } from '../support/db.ts'
import { contents, fail, succeed, testShop, upi } from '../support/http.ts'

const db = testDb()
type Postings = [account: Account, amount: number][]

async function newMerchant() {
  return (await addMerchant(db)).id
}

function post(merchantId: string, postings: Postings) {
  const source = { id: newId('payment'), merchantId, currency: 'INR' }
  const book = () => postings.map(([account, amount]) => ({ account, amount }))
  return db.transaction((tx) => postTransaction(tx, source, 'payment', book, new Date()))
}

async function insertTransaction(tx: Tx, merchantId: string): Promise<string> {
  const id = newId('balanceTransaction')
  const rest = { type: 'payment' as const, sourceId: id, currency: 'INR', createdAt: new Date() }
  await tx.insert(balanceTransactions).values({ id, merchantId, ...rest })
  return id
}

/** Returns the constraint and the message of a refusal by Postgres. */
async function refusal(query: Promise<unknown>): Promise<{ constraint?: string; message: string }> {
  const refused = await query.then(
    () => null,
    (error) => error,
  )
  expect(refused).not.toBeNull()
  const { code, constraint, message } = refused.cause ?? refused
  expect(code).toBe('23514') // check_violation
  return { constraint, message }
}

async function postingsOf(sourceId: string): Promise<Record<string, number>> {
  const rows = await db
    .select({ account: ledgerPostings.account, amount: ledgerPostings.amount })
    .from(ledgerPostings)
    .innerJoin(balanceTransactions, eq(balanceTransactions.id, ledgerPostings.transactionId))
    .where(eq(balanceTransactions.sourceId, sourceId))
  return Object.fromEntries(rows.map(({ account, amount }) => [account, amount]))
}

test.each<[string, Postings]>([
  [
    'too little',
    [
      ['clearing', -1_000],
      ['available', 999],
    ],
  ],
  [
    'too much',
    [
      ['clearing', -1_000],
      ['available', 990],
      ['fees', 11],
    ],
  ],
  ['one side only', [['available', 1_000]]],
])('a transaction that books %s is refused when it commits', async (_, postings) => {
  const merchantId = await newMerchant()
  const before = await contents(db)
  expect((await refusal(post(merchantId, postings))).message).toMatch(/does not balance/)
  expect(await contents(db)).toEqual(before)
})

test('a transaction without postings is refused', async () => {
  const merchantId = await newMerchant()
  const before = await contents(db)
  const empty = db.transaction((tx) => insertTransaction(tx, merchantId))
  expect((await refusal(empty)).message).toMatch(/does not balance/)
  expect(await contents(db)).toEqual(before)
})

test('a posting of zero and a posting to an unknown account are refused', async () => {
  const merchantId = await newMerchant()
  const insert = (account: string, amount: number) =>
    db.transaction(async (tx) => {
      const transactionId = await insertTransaction(tx, merchantId)
      await tx.insert(ledgerPostings).values({ transactionId, account: account as Account, amount })
    })
  const { constraint } = await refusal(insert('available', 0))
  expect(constraint).toBe('ledger_postings_not_zero')
  const unknown = await refusal(insert('pocket', 5))
  expect(unknown.constraint).toBe('ledger_postings_account_known')
})

test.each(['ledger_postings', 'balance_transactions'])('rows of %s are immutable', async (name) => {
  await post(await newMerchant(), [
    ['clearing', -1_000],
    ['available', 1_000],
  ])
  const table = sql.identifier(name)
  const before = await contents(db)
  const changes = [
    sql`update ${table} set ${sql.identifier(name === 'ledger_postings' ? 'amount' : 'currency')}
      = ${sql.raw(name === 'ledger_postings' ? 'amount + 1' : "'USD'")}`,
    sql`delete from ${table}`,
    sql`truncate ${table} cascade`,
  ]
  for (const change of changes)
    expect((await refusal(db.execute(change))).message).toMatch(/is posted/)
  expect(await contents(db)).toEqual(before)
})

test('a balance is the sum of its postings, debits included', async () => {
  const merchantId = await newMerchant()
  await post(merchantId, [
    ['clearing', -1_000],
    ['available', 1_000],
  ])
  await post(merchantId, [
    ['available', -400],
    ['held', 400],
  ])
  expect(await balanceOf(db, merchantId, 'available', 'INR')).toBe(600)
  expect(await balanceOf(db, merchantId, 'held', 'INR')).toBe(400)
  expect(await balanceOf(db, merchantId, 'available', 'USD')).toBe(0)
})

test.each<[string, number]>([
  ['that the balance does not cover', 1_000],
  ['from an account that never had anything', 0],
])('a debit %s is refused', async (_, credit) => {
  const merchantId = await newMerchant()
  if (credit > 0)
    await post(merchantId, [
      ['clearing', -credit],
      ['available', credit],
    ])
  const before = await contents(db)
  const debit = post(merchantId, [
    ['available', -1_001],
    ['clearing', 1_001],
  ])
  expect((await refusal(debit)).constraint).toBe('ledger_accounts_never_negative')
  expect(await contents(db)).toEqual(before)
  const raw = db.execute(sql`insert into ledger_accounts values (${merchantId}, 'held', 'INR', -1)`)
  expect((await refusal(raw)).constraint).toBe('ledger_accounts_never_negative')
})

describe('Settling a payment', () => {
  async function newPayment(amount = 50_000) {
    const { call, merchant } = await testShop(db)
    const { body } = await call('POST', '/api/v1/payments', { ...upi, amount })
    return { id: body.id as string, merchantId: merchant.id, call }
  }
  const available = (merchantId: string) => balanceOf(db, merchantId, 'available', 'INR')

  test.each([
    [50_000, 200, 1_000],
    [50_000, 0, 0],
    [99, 250, 2], // 2.475
    [20, 250, 1], // 0.5
    [19, 250, 0], // 0.475
    [1, 10_000, 1],
    [999_999_999_999, 290, 29_000_000_000],
  ])('a payment of %i at %i bps credits all but a fee of %i', async (amount, feeBps, fee) => {
    const { id, merchantId } = await newPayment(amount)
    await succeed(db, id, feeBps)
    expect(await available(merchantId)).toBe(amount - fee)
    const expected = { clearing: -amount, available: amount - fee, fees: fee }
    const booked = Object.entries(expected).filter(([, value]) => value !== 0)
    expect(await postingsOf(id)).toEqual(Object.fromEntries(booked))
  })

  test('settling a payment again books nothing and returns the first result', async () => {
    const { id, merchantId, call } = await newPayment()
    await call('POST', '/api/v1/webhook_endpoints', { url: 'https://shop.example/' })
    const first = await succeed(db, id, 200)
    expect([first.status, first.deliveries.length]).toEqual(['succeeded', 1])
    const before = await contents(db)
    const again = await Promise.all([1, 2, 3].map(() => succeed(db, id, 200)))
    for (const result of again) expect(result).toEqual(first)
    expect(await contents(db)).toEqual(before)
    expect(await available(merchantId)).toBe(49_000)
  })

  test('twenty payments settled at once sum to the same as one after the other', async () => {
    const { merchant, call } = await testShop(db)
    const amounts = Array.from({ length: 20 }, (_, n) => 1_000 + n * 7)
    const made = await Promise.all(
      amounts.map((amount) => call('POST', '/api/v1/payments', { ...upi, amount })),
    )
    // Each payment settles twice. The second settlement must book nothing.
    const ids = made.map(({ body }) => body.id as string)
    await Promise.all([...ids, ...ids].map((id) => succeed(db, id, 100)))
    const fees = amounts.map((amount) => Math.floor(amount / 100 + 0.5))
    const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)
    expect(await available(merchant.id)).toBe(sum(amounts) - sum(fees))
    const booked = await Promise.all(ids.map(postingsOf))
    expect(sum(booked.map(({ clearing = 0 }) => clearing))).toBe(-sum(amounts))
    expect(sum(booked.map(({ fees: fee = 0 }) => fee))).toBe(sum(fees))
  })

  test('settling a payment as failed books nothing', async () => {
    const { id, merchantId } = await newPayment()
    await fail(db, id)
    expect(await postingsOf(id)).toEqual({})
    const rows = await db
      .select()
      .from(ledgerAccounts)
      .where(eq(ledgerAccounts.merchantId, merchantId))
    expect(rows).toEqual([])
  })

  test.each(['failed', 'canceled'] as const)(
    'a late success of a %s payment reopens nothing, is held for its refund and needs attention',
    async (status) => {
      const { id, merchantId, call } = await newPayment()
      const failureCode = status === 'failed' ? 'expired' : null
      await settlePayment(db, id, { status, failureCode }, { feeBps: 0, now: new Date() })
      const told = await db.select().from(events).where(eq(events.resourceId, id))
      expect((await succeed(db, id)).status).toBe(status)
      const { body } = await call('GET', `/api/v1/payments/${id}`)
      const amounts = { amount_captured: 50_000, amount_refunded: 50_000 }
      const expected = { status, failure_code: failureCode, ...amounts }
      expect(body).toMatchObject({ ...expected, needs_attention: true })
      expect(await postingsOf(id)).toEqual({ clearing: -50_000, held: 50_000 })
      expect(await available(merchantId)).toBe(0)
      expect(await balanceOf(db, merchantId, 'held', 'INR')).toBe(50_000)
      expect(await db.select().from(events).where(eq(events.resourceId, id))).toEqual(told)
    },
  )

  test('a settlement commits with its booking, order and events, or not at all', async () => {
    const { merchant, call } = await testShop(db)
    const order = await call('POST', '/api/v1/orders', { amount: 50_000, currency: 'INR' })
    const paid = { ...upi, order_id: order.body.id }
    const { body } = await call('POST', '/api/v1/payments', paid)
    // This transaction takes the place of the booking, so the settlement fails. Nothing of the
    // settlement may remain.
    await db.transaction(async (tx) => {
      const source = { id: body.id, merchantId: merchant.id, currency: 'INR' }
      await postTransaction(tx, source, 'payment', topUp(1), new Date())
    })
    const before = await contents(db)
    await expect(succeed(db, body.id)).rejects.toMatchObject({
      cause: { constraint: 'balance_transactions_source_key' },
    })
    expect(await contents(db)).toEqual(before)
  })
})
