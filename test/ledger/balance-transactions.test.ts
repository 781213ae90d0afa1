import { testDb } from '../support/db.ts'
import { contents, expectRefusal } from '../support/http.ts'
import { settleRefundAs, testTill } from '../transfers/till.ts'

const db = testDb()

let till: Awaited<ReturnType<typeof testTill>>
beforeEach(async () => {
  till = await testTill(db)
})

describe('Balance transactions', () => {
  test('a balance transaction shows its type, source and postings', async () => {
    const topup = await till.topUp(50_000, 'usd')
    const { body } = await till.get('balance_transactions')
    expect(body).toStrictEqual({
      object: 'list',
      has_more: false,
      data: [
        {
          id: expect.stringMatching(/^txn_[0-9a-z]{26}$/),
          object: 'balance_transaction',
          type: 'topup',
          amount: 50_000,
          currency: 'USD',
          source: topup,
          postings: [
            { account: 'available', amount: 50_000 },
            { account: 'clearing', amount: -50_000 },
          ],
          created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        },
      ],
    })
    const [only] = body.data
    expect((await till.get(`balance_transactions/${only.id}`)).body).toStrictEqual(only)
    const stranger = await testTill(db)
    expectRefusal(await stranger.get(`balance_transactions/${only.id}`), 404, 'not_found')
    expectRefusal(await till.get(`balance_transactions/${topup}`), 404, 'not_found')
  })

  test('balance transactions can be listed by type and by source, and page by page', async () => {
    const payment = await till.paid(50_000)
    const refunds = [await till.refund(payment, 1), await till.refund(payment, 2)]
    const payout = await till.payOut(3)
    const [first = '', second] = refunds
    await settleRefundAs(db, first, 'failed')
    const sources = async (query: string) =>
      (await till.get(`balance_transactions?limit=100${query}`)).body.data.map(
        ({ type, source }: { type: string; source: string }) => [type, source],
      )
    expect(await sources('')).toEqual([
      ['refund_failure', first],
      ['payout', payout],
      ['refund', second],
      ['refund', first],
      ['payment', payment],
    ])
    expect(await sources('&type=payment')).toEqual([['payment', payment]])
    expect(await sources('&type=refund')).toEqual([
      ['refund', second],
      ['refund', first],
    ])
    expect(await sources('&type=late_payout')).toEqual([])
    expect(await sources(`&source=${first}`)).toEqual([
      ['refund_failure', first],
      ['refund', first],
    ])
    expect(await sources(`&source=${first}&type=refund`)).toEqual([['refund', first]])
    expect(await sources(`&source=${payout}&type=refund`)).toEqual([])
    expect(await sources('&source=po_404')).toEqual([])

    const page = (await till.get('balance_transactions?limit=1&type=refund')).body
    expect([page.data[0].source, page.has_more]).toEqual([second, true])
    const after = `starting_after=${page.data[0].id}`
    const next = (await till.get(`balance_transactions?limit=1&type=refund&${after}`)).body
    expect([next.data[0].source, next.has_more]).toEqual([first, false])
  })
})

describe('A topup', () => {
  const path = 'test/balance_topups'
  const topup = { amount: 50_000, currency: 'inr' }

  test('a topup is created at once, without an event and without a workflow', async () => {
    const { status, body } = await till.post(path, topup)
    expect(status).toBe(201)
    expect(body).toStrictEqual({
      id: expect.stringMatching(/^topup_[0-9a-z]{26}$/),
      object: 'balance_topup',
      amount: 50_000,
      currency: 'INR',
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    })
    expect(till.started).toEqual([])
    expect((await till.get('events')).body.data).toEqual([])
  })

  test('a topup is created once per Idempotency-Key', async () => {
    const first = await till.post(path, topup, 'a')
    const before = await contents(db)
    const again = await till.post(path, topup, 'a')
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([201, 'true'])
    expect(again.body).toStrictEqual(first.body)
    const other = await till.post(path, { ...topup, amount: 1 }, 'a')
    expectRefusal(other, 422, 'idempotency_key_reused')
    expect(await contents(db)).toEqual(before)
  })

  test('fifty topups at once, the first of their currency, all add up', async () => {
    await Promise.all(Array.from({ length: 50 }, () => till.topUp(7, 'JPY')))
    expect(await till.sums('JPY')).toEqual({ available: 350, held: 0, owed: 0 })
  })
})
