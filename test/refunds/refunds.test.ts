import { eq } from 'drizzle-orm'
import { payments } from '../../db/payments/schema.ts'
import { authorizePayment, settlePayment } from '../../db/payments/steps.ts'
import { refunds } from '../../db/refunds/schema.ts'
import { testDb } from '../support/db.ts'
import { contents, expectRefusal, fail, upi } from '../support/http.ts'
import { settlePayoutAs, settleRefundAs, testTill } from '../transfers/till.ts'

const db = testDb()

let till: Awaited<ReturnType<typeof testTill>>
beforeEach(async () => {
  till = await testTill(db)
})

const ask = (paymentId: string, body: object, key?: string) =>
  till.post(`payments/${paymentId}/refunds`, body, key)

async function refundedOf(paymentId: string): Promise<number> {
  return (await till.get(`payments/${paymentId}`)).body.amount_refunded
}

async function expectNothingDone(refused: () => Promise<unknown>) {
  const before = await contents(db)
  await refused()
  expect(await contents(db)).toEqual(before)
}

test('a refund is pending at first, holds its amount, and its workflow is started', async () => {
  const id = await till.paid(50_000)
  const input = { amount: 20_000, reason: 'The size was wrong', metadata: { ticket: '7' } }
  const { status, body } = await ask(id, input)
  expect(status).toBe(201)
  expect(body).toStrictEqual({
    id: expect.stringMatching(/^re_[0-9a-z]{26}$/),
    object: 'refund',
    payment_id: id,
    amount: 20_000,
    currency: 'INR',
    status: 'pending',
    reason: 'The size was wrong',
    failure_code: null,
    metadata: { ticket: '7' },
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  })
  expect((await till.get(`refunds/${body.id}`)).body).toStrictEqual(body)
  expect((await till.get('refunds')).body.data).toStrictEqual([body])
  expect(await till.sums()).toEqual({ available: 30_000, held: 20_000, owed: 0 })
  expect(await refundedOf(id)).toBe(20_000)
  expect(till.started.at(-1)).toMatchObject({ workflowType: 'processRefund', workflowId: body.id })

  const told = (await till.get('events?type=refund.created')).body.data
  expect(told).toHaveLength(1)
  expect(told[0].data.object).toStrictEqual(body)
})

test('a refund needs no reason and no metadata', async () => {
  const { body } = await ask(await till.paid(), { amount: 1 })
  expect(body).toMatchObject({ amount: 1, reason: null, metadata: {} })
})

test('several refunds can take all of a payment, and not one paisa more', async () => {
  const id = await till.paid(50_000)
  for (const amount of [1, 20_000, 29_999]) expect((await ask(id, { amount })).status).toBe(201)
  expect(await refundedOf(id)).toBe(50_000)
  await till.topUp(100_000)
  await expectNothingDone(async () => {
    const refused = await ask(id, { amount: 1 }, 'key')
    expectRefusal(refused, 422, 'refund_exceeds_captured', 'amount')
    expect(refused.body.error.message).toBe('Only 0 is left to refund.')
  })
})

test('the captured amount limits refunds, not the authorized amount', async () => {
  const { body } = await till.post('payments', { ...upi, capture_method: 'manual' })
  await authorizePayment(db, body.id, new Date())
  await ask(body.id, { amount: 1 }).then((answer) => expectRefusal(answer, 409, 'conflict'))
  const verdict = { status: 'succeeded', failureCode: null, amountCaptured: 7_000 } as const
  await settlePayment(db, body.id, verdict, { feeBps: 0, now: new Date() })
  await till.topUp(100_000)
  expectRefusal(await ask(body.id, { amount: 7_001 }), 422, 'refund_exceeds_captured', 'amount')
  expect((await ask(body.id, { amount: 7_000 })).status).toBe(201)
})

test('pending and succeeded refunds count towards the limit, and failed ones do not', async () => {
  const id = await till.paid(50_000)
  const first = await till.refund(id, 20_000)
  const second = await till.refund(id, 20_000)
  await settleRefundAs(db, first, 'succeeded')
  expectRefusal(await ask(id, { amount: 10_001 }), 422, 'refund_exceeds_captured')
  await settleRefundAs(db, second, 'failed')
  await settleRefundAs(db, second, 'failed') // a repeat
  expect(await refundedOf(id)).toBe(20_000)
  expect((await till.get(`refunds/${second}`)).body).toMatchObject({
    status: 'failed',
    failure_code: 'declined',
  })
  expectRefusal(await ask(id, { amount: 30_001 }), 422, 'refund_exceeds_captured')
  expect((await ask(id, { amount: 30_000 })).status).toBe(201)
})

test.each([
  ['pending', async () => {}],
  ['authorized', (id: string) => authorizePayment(db, id, new Date())],
  ['failed', (id: string) => fail(db, id)],
  [
    'canceled',
    (id: string) => {
      const verdict = { status: 'canceled', failureCode: null } as const
      return settlePayment(db, id, verdict, { feeBps: 0, now: new Date() })
    },
  ],
])('a payment that is %s cannot be refunded', async (status, bring) => {
  await till.topUp(100_000)
  const { id } = (await till.post('payments', upi)).body
  await bring(id)
  expect((await till.get(`payments/${id}`)).body.status).toBe(status)
  await expectNothingDone(async () => {
    const refused = await ask(id, { amount: 1 })
    expectRefusal(refused, 409, 'conflict')
    expect(refused.body.error.message).toBe(`A payment that is ${status} can't be refunded.`)
  })
})

test('a late success of a payment is refunded automatically, and only once', async () => {
  const { id } = (await till.post('payments', upi)).body
  await fail(db, id)
  const verdict = { status: 'succeeded', failureCode: null } as const
  const late = await settlePayment(db, id, verdict, { feeBps: 0, now: new Date() })
  await till.topUp(100_000)
  const { data } = (await till.get(`payments/${id}/refunds`)).body
  expect(data).toMatchObject([{ id: late.refund?.id, amount: 50_000, status: 'pending' }])
  expect(await till.sums()).toEqual({ available: 100_000, held: 50_000, owed: 0 })
  expectRefusal(await ask(id, { amount: 1 }), 422, 'refund_exceeds_captured')
  await settleRefundAs(db, data[0].id, 'failed')
  expect(await till.sums()).toEqual({ available: 150_000, held: 0, owed: 0 })
  expect((await ask(id, { amount: 50_000 })).status).toBe(201)
  expect((await till.get(`payments/${id}`)).body).toMatchObject({
    status: 'failed',
    amount_captured: 50_000,
    amount_refunded: 50_000,
    needs_attention: true,
  })
})

test('money that a payout has taken cannot be refunded', async () => {
  const id = await till.paid(50_000)
  const payout = await till.payOut(40_000)
  await expectNothingDone(async () => {
    const refused = await ask(id, { amount: 10_001 }, 'key')
    expectRefusal(refused, 422, 'insufficient_balance', 'amount')
    expect(refused.body.error.message).toBe('The available balance is 10000.')
  })
  await settlePayoutAs(db, payout, 'canceled')
  expect((await ask(id, { amount: 10_001 }, 'key')).status).toBe(201)
})

test('a refund returns no fee: the merchant gives back all that the payer paid', async () => {
  const id = await till.paid(50_000, 200)
  expectRefusal(await ask(id, { amount: 49_001 }), 422, 'insufficient_balance', 'amount')
  await till.topUp(1_000)
  expect((await ask(id, { amount: 50_000 })).status).toBe(201)
  expect(await till.sums()).toEqual({ available: 0, held: 50_000, owed: 0 })
})

test('five of fifty refunds of a fifth each at once are taken', async () => {
  const id = await till.paid(50_000)
  await till.topUp(1_000_000) // the balance does not limit the refunds
  const before = (await till.get('events?limit=100')).body.data.length
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, n) => ask(id, { amount: 10_000 }, `${n}`)),
  )
  const taken = answers.filter(({ status }) => status === 201)
  expect(taken).toHaveLength(5)
  for (const answer of answers.filter(({ status }) => status !== 201))
    expectRefusal(answer, 422, 'refund_exceeds_captured', 'amount')
  expect(await refundedOf(id)).toBe(50_000)
  expect(await till.sums()).toEqual({ available: 1_000_000, held: 50_000, owed: 0 })
  expect(await db.$count(refunds, eq(refunds.paymentId, id))).toBe(5)
  expect((await till.get('events?limit=100')).body.data).toHaveLength(before + 5)
})

test('refunds and payouts during the failure of a refund never spend money twice', async () => {
  const id = await till.paid(50_000)
  const failing = await till.refund(id, 10_000)
  const payout = { amount: 10_000, currency: 'INR', destination: { type: 'vpa', vpa: 'a@upi' } }
  const [answers] = await Promise.all([
    Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        n % 2 ? ask(id, { amount: 10_000 }) : till.post('payouts', payout),
      ),
    ),
    settleRefundAs(db, failing, 'failed'),
  ])
  const taken = answers.filter(({ status }) => status === 201)
  expect(taken.length).toBeGreaterThanOrEqual(4) // five, if the failure came in time
  for (const { status } of answers) expect([201, 422]).toContain(status)
  const left = 50_000 - 10_000 * taken.length
  expect(await till.sums()).toEqual({ available: left, held: 50_000 - left, owed: 0 })
  const asked = taken.filter(({ body }) => body.object === 'refund').length
  expect(await refundedOf(id)).toBe(asked * 10_000)
})

describe('An Idempotency-Key of a refund', () => {
  test('a repeated key gets the first answer again, even after the refund has ended', async () => {
    const id = await till.paid()
    const first = await ask(id, { amount: 50_000 }, 'a')
    await settleRefundAs(db, first.body.id, 'succeeded')
    await expectNothingDone(async () => {
      const again = await ask(id, { amount: 50_000 }, 'a')
      expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([201, 'true'])
      expect(again.body).toStrictEqual(first.body)
    })
    expect(till.started.filter(({ workflowId }) => workflowId === first.body.id)).toHaveLength(1)
  })

  test('a key reused with another body is refused with 422', async () => {
    const id = await till.paid()
    await ask(id, { amount: 1 }, 'a')
    await expectNothingDone(async () => {
      expectRefusal(await ask(id, { amount: 2 }, 'a'), 422, 'idempotency_key_reused')
    })
  })

  test('twenty requests with one key make one refund', async () => {
    const id = await till.paid()
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => ask(id, { amount: 1_000 }, 'a')),
    )
    const made = new Set(answers.flatMap(({ body }) => body.id ?? []))
    expect(made.size).toBe(1)
    for (const answer of answers.filter(({ status }) => status !== 201))
      expectRefusal(answer, 409, 'idempotency_key_in_use')
    expect(await refundedOf(id)).toBe(1_000)
  })

  test('a refused request leaves the key free', async () => {
    const id = await till.paid()
    await till.payOut(50_000)
    expectRefusal(await ask(id, { amount: 1 }, 'a'), 422, 'insufficient_balance')
    await till.topUp(1)
    const made = await ask(id, { amount: 1 }, 'a')
    expect([made.status, made.headers.get('idempotent-replayed')]).toEqual([201, null])
  })
})

test('a refund of the largest valid amount is refused with 422', async () => {
  const id = await till.paid()
  const refused = await ask(id, { amount: 999_999_999_999 })
  expectRefusal(refused, 422, 'refund_exceeds_captured', 'amount')
})

test('a payment of the largest valid amount is refunded in full', async () => {
  const id = await till.paid(999_999_999_999)
  await till.refund(id, 999_999_999_999)
  expect(await till.sums()).toEqual({ available: 0, held: 999_999_999_999, owed: 0 })
})

test('refunds can be listed by status, by payment, and under their payment', async () => {
  const [one, other] = [await till.paid(), await till.paid()]
  const ids = [await till.refund(one, 1), await till.refund(one, 2), await till.refund(other, 3)]
  const [first = '', second, third = ''] = ids
  await settleRefundAs(db, first, 'succeeded')
  await settleRefundAs(db, third, 'failed')
  const query = async (path: string) =>
    (await till.get(path)).body.data.map(({ id }: { id: string }) => id)
  expect(await query('refunds?status=succeeded')).toEqual([first])
  expect(await query('refunds?status=pending')).toEqual([second])
  expect(await query('refunds?status=failed')).toEqual([third])
  expect(await query(`refunds?payment_id=${one}`)).toEqual([second, first])
  expect(await query(`refunds?payment_id=${one}&status=failed`)).toEqual([])
  const unknown = await till.get('refunds?payment_id=pay_404')
  expectRefusal(unknown, 400, 'invalid_request', 'payment_id')
  expect(await query(`payments/${one}/refunds`)).toEqual([second, first])
  expect(await query(`payments/${one}/refunds?status=succeeded`)).toEqual([first])
  expect(await query(`payments/${one}/refunds?starting_after=${second}`)).toEqual([first])
  expect(await query(`payments/${other}/refunds`)).toEqual([third])
  expectRefusal(await till.get('payments/pay_404/refunds'), 404, 'not_found')
  for (const path of ['refunds?status=completed', `payments/${one}/refunds?status=paid`])
    expectRefusal(await till.get(path), 400, 'invalid_request', 'status')
  const strange = await till.get(`payments/${one}/refunds?payment_id=${other}`)
  expectRefusal(strange, 400, 'invalid_request', 'payment_id')
})

test('a late success of a refund marks its payment for an operator', async () => {
  const id = await till.paid(50_000)
  const refund = await till.refund(id, 20_000)
  await settleRefundAs(db, refund, 'failed')
  await settleRefundAs(db, refund, 'succeeded')
  expect((await till.get(`refunds/${refund}`)).body.status).toBe('failed')
  const [row] = await db.select().from(payments).where(eq(payments.id, id))
  expect(row).toMatchObject({ needsAttention: true, status: 'succeeded' })
  expect(await till.sums()).toEqual({ available: 30_000, held: 0, owed: 0 })
})
