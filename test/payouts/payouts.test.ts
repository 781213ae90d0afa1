import { eq } from 'drizzle-orm'
import { findRow } from '../../db/lifecycle-steps.ts'
import { openDestination } from '../../db/payouts/payouts.ts'
import { payouts } from '../../db/payouts/schema.ts'
import { startPayout } from '../../db/payouts/steps.ts'
import { commands } from '../../db/requests/schema.ts'
import { testCipher } from '../support/cipher.ts'
import { testDb } from '../support/db.ts'
import { contents, expectRefusal, tableTexts } from '../support/http.ts'
import { keptLog } from '../support/log.ts'
import { settlePayoutAs, testTill, toBank, toVpa } from '../transfers/till.ts'

const db = testDb()
const { log, lines } = keptLog()

let till: Awaited<ReturnType<typeof testTill>>
beforeEach(async () => {
  till = await testTill(db, { log })
})

const payout = { amount: 10_000, currency: 'INR', destination: toVpa }
const ask = (change: object = {}, key?: string) =>
  till.post('payouts', { ...payout, ...change }, key)

async function expectNothingDone(refused: () => Promise<unknown>) {
  const before = await contents(db)
  await refused()
  expect(await contents(db)).toEqual(before)
}

test('a payout is pending at first, holds its amount, and its workflow is started', async () => {
  await till.topUp(50_000)
  const { status, body } = await ask({ description: 'June', metadata: { run: '6' } })
  expect(status).toBe(201)
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  expect(body).toStrictEqual({
    id: expect.stringMatching(/^po_[0-9a-z]{26}$/),
    object: 'payout',
    status: 'pending',
    amount: 10_000,
    currency: 'INR',
    destination: { type: 'vpa', vpa: 'se***@upi' },
    failure_code: null,
    needs_attention: false,
    description: 'June',
    metadata: { run: '6' },
    created_at: time,
    updated_at: body.created_at,
  })
  expect((await till.get(`payouts/${body.id}`)).body).toStrictEqual(body)
  expect((await till.get('payouts')).body.data).toStrictEqual([body])
  expect(await till.sums()).toEqual({ available: 40_000, held: 10_000, owed: 0 })
  expect(till.started).toMatchObject([{ workflowType: 'processPayout', workflowId: body.id }])
  const told = (await till.get('events?type=payout.created')).body.data
  expect(told).toHaveLength(1)
  expect(told[0].data.object).toStrictEqual(body)
})

test.each([
  ['as it is', toBank, toBank],
  [
    'with blanks and small letters',
    { account_number: ' de89 3704-0044 0532 0130 00 ', bank_code: 'hdfc0000123' },
    toBank,
  ],
  ['with blanks around the name', { holder_name: '  Asha Rao ' }, toBank],
  ['of another alphabet', { holder_name: 'आशा राव' }, { ...toBank, holder_name: 'आशा राव' }],
])('a bank account %s is kept whole, and is shown masked', async (_, given, kept) => {
  await till.topUp(50_000)
  const { status, body } = await ask({ destination: { ...toBank, ...given } })
  expect(status).toBe(201)
  expect(body.destination).toStrictEqual({
    type: 'bank_account',
    account_number: '***3000',
    bank_code: 'HDFC0000123',
    holder_name: kept === toBank ? 'A*** R***' : 'आ*** र***',
  })
  expect(openDestination(testCipher, await findRow(db, payouts, body.id))).toStrictEqual(kept)
})

test('a UPI address is kept whole', async () => {
  await till.topUp(50_000)
  const row = await findRow(db, payouts, await till.payOut(1))
  expect(openDestination(testCipher, row)).toStrictEqual(toVpa)
  expect(() => openDestination(testCipher, { ...row, id: 'po_other' })).toThrow()
})

test('the destination of a payout appears in no answer, log line or table', async () => {
  await till.post('webhook_endpoints', { url: 'https://shop.example/hooks' })
  await till.topUp(20_000)
  const shown: unknown[] = []
  const see = async (answer: Promise<{ status: number; body: unknown }>) => {
    const { status, body } = await answer
    shown.push(status, body)
  }
  lines.length = 0
  for (const destination of [toVpa, toBank]) {
    const key = destination.type
    await see(ask({ destination }, key))
    await see(ask({ destination }, key)) // the stored answer
    await see(ask({ destination, amount: 1 }, key)) // another body
    await see(ask({ destination }, `${key} 2`)) // the balance covers two payouts only
    await see(ask({ destination, currency: 'USD' }))
  }
  const [{ id }] = (await till.get('payouts')).body.data
  await settlePayoutAs(db, id, 'completed')
  for (const path of ['payouts', 'events', `payouts/${id}`, 'balance_transactions'])
    await see(till.get(path))
  await see(till.post(`payouts/${id}/cancel`, {}))
  await see(till.post(`test/payouts/${id}/fail`, {}, 'fail'))
  expect(shown).toEqual(expect.arrayContaining([200, 201, 202, 409, 422]))
  expect(lines.length).toBeGreaterThan(10)

  const tables = await tableTexts(db)
  expect(tables.payouts).toContain('"se***@upi"')
  expect(tables.payouts).toContain('"***3000"')
  expect(tables.webhook_deliveries).not.toBe('[]')
  expect(tables.idempotency_keys).not.toBe('[]')
  const everything = JSON.stringify([shown, lines, till.started, tables])
  for (const secret of ['seller', 'DE89', '370400440532', 'Asha', 'Rao'])
    expect(everything).not.toContain(secret)
})

test('a currency is accepted in lower, upper and mixed case', async () => {
  await till.topUp(50_000, 'inr')
  expect((await ask({ currency: 'iNr' })).body.currency).toBe('INR')
  expect(await till.sums('INR')).toEqual({ available: 40_000, held: 10_000, owed: 0 })
})

test.each([
  ['of a currency that there is none of', { currency: 'USD' }, 'The available balance is 0.'],
  ['of a paisa too much', { amount: 50_001 }, 'The available balance is 50000.'],
  ['of the largest amount', { amount: 999_999_999_999 }, 'The available balance is 50000.'],
])('a payout %s is refused with 422', async (_, change, message) => {
  await till.topUp(50_000)
  await expectNothingDone(async () => {
    const refused = await ask(change, 'key')
    expectRefusal(refused, 422, 'insufficient_balance', 'amount')
    expect(refused.body.error.message).toBe(message)
  })
  expect(till.started).toEqual([])
  expect((await ask({ amount: 50_000 }, 'key')).status).toBe(201)
})

test('held money cannot be paid out', async () => {
  const paid = await till.paid(50_000)
  await till.refund(paid, 30_000)
  expectRefusal(await ask({ amount: 20_001 }), 422, 'insufficient_balance', 'amount')
  expect((await ask({ amount: 20_000 })).status).toBe(201)
})

test('a hundred payouts at once are taken only as far as the balance covers them', async () => {
  await till.topUp(100_000)
  const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => ask({}, `${n}`)))
  const taken = answers.filter(({ status }) => status === 201)
  expect(taken).toHaveLength(10)
  for (const answer of answers.filter(({ status }) => status !== 201))
    expectRefusal(answer, 422, 'insufficient_balance', 'amount')
  expect(await till.sums()).toEqual({ available: 0, held: 100_000, owed: 0 })
  const theirs = eq(payouts.merchantId, till.merchant.id)
  expect(await db.$count(payouts, theirs)).toBe(10)
  expect(till.started).toHaveLength(10)
})

test('the balances of two currencies do not mix', async () => {
  await till.topUp(10_000, 'INR')
  await till.topUp(10_000, 'USD')
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) => ask({ currency: n % 2 ? 'INR' : 'USD' })),
  )
  const taken = answers.filter(({ status }) => status === 201)
  expect(taken.map(({ body }) => body.currency).sort()).toEqual(['INR', 'USD'])
})

describe('An Idempotency-Key of a payout', () => {
  test('a repeated key gets the first answer again, even if no money is left', async () => {
    await till.topUp(10_000)
    const first = await ask({}, 'a')
    await expectNothingDone(async () => {
      const again = await ask({}, 'a')
      expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([201, 'true'])
      expect(again.body).toStrictEqual(first.body)
      const other = { type: 'vpa', vpa: 'seller.two@upi' } // masked, both addresses look alike
      expectRefusal(await ask({ destination: other }, 'a'), 422, 'idempotency_key_reused')
    })
  })

  test('twenty requests with one key make one payout', async () => {
    await till.topUp(100_000)
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask({}, 'a')))
    expect(new Set(answers.flatMap(({ body }) => body.id ?? [])).size).toBe(1)
    expect(await till.sums()).toEqual({ available: 90_000, held: 10_000, owed: 0 })
  })
})

test('payouts can be listed by status', async () => {
  await till.topUp(50_000)
  const [first, second] = [await till.payOut(1), await till.payOut(2)]
  await settlePayoutAs(db, first, 'canceled')
  const query = async (path: string) =>
    (await till.get(path)).body.data.map(({ id }: { id: string }) => id)
  expect(await query('payouts')).toEqual([second, first])
  expect(await query('payouts?status=canceled')).toEqual([first])
  expect(await query('payouts?status=pending')).toEqual([second])
  expect(await query('payouts?status=completed')).toEqual([])
})

describe('Commands without a worker', () => {
  const bring: Record<string, (id: string) => Promise<unknown>> = {
    pending: async () => {},
    processing: (id) => startPayout(db, id, `ref ${id}`, new Date()),
    completed: (id) => settlePayoutAs(db, id, 'completed'),
    failed: (id) => settlePayoutAs(db, id, 'failed'),
    canceled: (id) => settlePayoutAs(db, id, 'canceled'),
  }
  const paths = { cancel: '', complete: 'test/', fail: 'test/' }
  const takes: Record<keyof typeof paths, string[]> = {
    cancel: ['pending'],
    complete: ['pending', 'processing'],
    fail: ['pending', 'processing', 'completed'],
  }
  const kinds = Object.keys(paths) as (keyof typeof paths)[]
  const cases = kinds.flatMap((kind) => Object.keys(bring).map((status) => [kind, status] as const))

  const commandsOf = (id: string) => db.select().from(commands).where(eq(commands.resourceId, id))

  test.each(cases)('%s on a payout that is %s is taken or refused', async (kind, status) => {
    await till.topUp(50_000)
    const id = await till.payOut(10_000)
    await bring[status]?.(id)
    const before = await contents(db)
    const tell = (key?: string) => till.post(`${paths[kind]}payouts/${id}/${kind}`, {}, key)
    const told = await tell('a')
    if (!takes[kind].includes(status)) {
      expectRefusal(told, 409, 'conflict')
      expect(told.body.error.message).toMatch(`A payout that is ${status} can't be `)
      expect(await contents(db)).toEqual(before)
      return
    }
    expect([told.status, told.body.status, told.body.id]).toEqual([202, status, id])
    expect(await commandsOf(id)).toMatchObject([
      { kind, status: 'open', merchantId: till.merchant.id, nextSweepAt: expect.any(Date) },
    ])
    expect((await tell('a')).status).toBe(202) // repeats the command
    for (const other of kinds) {
      const refused = await till.post(`${paths[other]}payouts/${id}/${other}`, {}, 'b')
      expectRefusal(refused, 409, 'conflict')
    }
    expect(await commandsOf(id)).toHaveLength(1)
  })

  test.each([
    ['cancel', 'canceled', 'done'],
    ['cancel', 'completed', 'refused'],
    ['cancel', 'failed', 'refused'],
    ['complete', 'completed', 'done'],
    ['complete', 'canceled', 'refused'],
    ['fail', 'failed', 'done'],
    ['fail', 'completed', 'refused'],
  ] as const)('an open %s of a payout that becomes %s is %s', async (kind, status, outcome) => {
    await till.topUp(50_000)
    const id = await till.payOut(10_000)
    await till.post(`${paths[kind]}payouts/${id}/${kind}`, {}, 'a')
    await settlePayoutAs(db, id, status)
    expect(await commandsOf(id)).toMatchObject([{ status: outcome, nextSweepAt: null }])
    const again = await till.post(`${paths[kind]}payouts/${id}/${kind}`, {}, 'a')
    if (outcome === 'done') {
      expect([again.status, again.body.status]).toEqual([200, status])
    } else {
      expectRefusal(again, 409, 'conflict')
    }
  })

  test('a payout that is on its way can no longer be canceled', async () => {
    await till.topUp(50_000)
    const id = await till.payOut(10_000)
    await till.post(`payouts/${id}/cancel`, {})
    await startPayout(db, id, 'ref', new Date())
    expect(await commandsOf(id)).toMatchObject([{ status: 'refused' }])
    expect((await till.post(`test/payouts/${id}/complete`, {})).status).toBe(202)
  })

  test('one of thirty commands at once is taken', async () => {
    await till.topUp(50_000)
    const id = await till.payOut(10_000)
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, n) => {
        const kind = kinds[n % 3] as keyof typeof paths
        return till.post(`${paths[kind]}payouts/${id}/${kind}`, {}, `${n}`)
      }),
    )
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(1)
    for (const answer of answers.filter(({ status }) => status !== 202))
      expectRefusal(answer, 409, 'conflict')
    expect(await commandsOf(id)).toHaveLength(1)
  })
})
