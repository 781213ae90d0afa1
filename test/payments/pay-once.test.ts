import { eq } from 'drizzle-orm'
import type { TryUpdate } from '../../api/http/try-update.ts'
import { openDb } from '../../db/client.ts'
import { closeLink } from '../../db/payment-links/steps.ts'
import { payments } from '../../db/payments/schema.ts'
import { settlePayment } from '../../db/payments/steps.ts'
import { commands } from '../../db/requests/schema.ts'
import { type Answer, callAs, testApp } from '../support/app.ts'
import { testDb } from '../support/db.ts'
import { contents, expectRefusal, fail, succeed, upi } from '../support/http.ts'
import { pause } from '../support/stack.ts'
import { cardSource, countingExchange, link, linkPath, shopWithLink, source } from './payers.ts'

const db = testDb()

const refusals = ['payment_link_payment_in_progress', 'payment_link_not_active']
const codesOf = (answers: Answer[]) =>
  answers
    .filter(({ status }) => status !== 200)
    .map(({ status, body }) => [status, body.error.code])

describe('Payers at the same moment', () => {
  /** Sends `count` payments for one link at once, to two API replicas with separate pools. */
  async function crowd(count: number, bodyOf: (n: number) => object = () => source) {
    const shop = await shopWithLink(db)
    const pools = [1, 2].map(() => openDb(db.url, { poolMax: 15, statementTimeoutMs: 20_000 }))
    const calls = pools.map((pool) => callAs(testApp(pool).app, null))
    const pay = (n: number) =>
      calls[n % 2]?.('POST', `/pay/${shop.id}`, bodyOf(n)) as Promise<Answer>
    const answers = await Promise.all(Array.from({ length: count }, (_, n) => pay(n)))
    for (const pool of pools) await pool.$client.end()
    return { ...shop, answers }
  }

  test.each([
    ['by UPI', () => source],
    ['by card', () => cardSource],
  ])('one of fifty payers pays the link, %s', async (_, bodyOf) => {
    const { answers, paymentsOf } = await crowd(50, bodyOf)
    const paid = answers.filter(({ status }) => status === 200)
    expect(paid).toHaveLength(1)
    const refused = codesOf(answers)
    expect(refused).toHaveLength(49)
    for (const each of refused) expect(each).toEqual([409, refusals[0]])
    expect(await paymentsOf()).toMatchObject([{ id: paid[0]?.body.id, status: 'pending' }])
  })

  test('a payment that races a cancel of its link is either taken or refused', async () => {
    const seen = new Set<number>()
    for (let round = 0; round < 25; round++) {
      const { id, pay, cancel, paymentsOf } = await shopWithLink(db)
      const leadMs = (round - 12) * 3
      const [paid, canceled] = await Promise.all([
        pause(-leadMs).then(() => pay()),
        pause(leadMs).then(() => cancel()),
      ])
      expect(canceled.status).toBe(202)
      seen.add(paid.status)
      if (paid.status !== 200) expect(codesOf([paid])).toEqual([[409, refusals[1]]])
      expect(await paymentsOf()).toHaveLength(paid.status === 200 ? 1 : 0)
      // After the race nobody else can pay the link. A payment under way keeps the link open.
      expect((await pay()).status).toBe(409)
      const { status } = await closeLink(db, id, 'canceled', new Date())
      expect(status).toBe(paid.status === 200 ? 'active' : 'canceled')
      const [command] = await db.select().from(commands).where(eq(commands.resourceId, id))
      expect(command?.status).toBe(paid.status === 200 ? 'open' : 'done')
    }
    expect([...seen].sort()).toEqual([200, 409])
  })

  test('at most one of three payers pays while an earlier payment fails', async () => {
    for (let round = 0; round < 10; round++) {
      const { pay, paymentsOf } = await shopWithLink(db)
      const { body } = await pay()
      const [, ...answers] = await Promise.all([fail(db, body.id), pay(), pay(), pay()])
      const paid = answers.filter(({ status }) => status === 200)
      expect(paid.length).toBeLessThanOrEqual(1)
      const open = (await paymentsOf()).filter(({ status }) => status !== 'failed')
      expect(open).toHaveLength(paid.length)
    }
  })
})

describe('An undecided payment of a link', () => {
  const agedMs = (ms: number) => ({ createdAt: new Date(Date.now() - ms) })
  const MINUTE_MS = 60_000

  /** Makes a link with a payment of this age. `told` lists its updates, and `obey` handles each. */
  async function undecidedFor(ms: number, obey: (paymentId: string) => Promise<unknown>) {
    const told: string[] = []
    const tryUpdate: TryUpdate = async ({ workflowId }, { name }) => {
      told.push(`${name} ${workflowId}`)
      await obey(workflowId)
    }
    const shop = await shopWithLink(db, {}, { tryUpdate })
    const { body } = await shop.pay()
    await db.update(payments).set(agedMs(ms)).where(eq(payments.id, body.id))
    return { ...shop, first: body.id as string, told }
  }

  const cancelNow = (id: string) => {
    const verdict = { status: 'canceled', failureCode: null } as const
    return settlePayment(db, id, verdict, { feeBps: 0, now: new Date() })
  }

  test.each([
    ['UPI', source],
    ['card', cardSource],
  ])('an undecided payment gives way after 15 minutes to the next, by %s', async (_, by) => {
    const { pay, told, first, paymentsOf } = await undecidedFor(15 * MINUTE_MS + 1_000, cancelNow)
    const next = await pay(by, 'next')
    expect([next.status, next.headers.get('idempotent-replayed')]).toEqual([200, null])
    expect(told).toEqual([`cancel ${first}`])
    const statuses = Object.fromEntries((await paymentsOf()).map(({ id, status }) => [id, status]))
    expect(statuses).toEqual({ [first]: 'canceled', [next.body.id]: 'pending' })
  })

  test('an undecided payment keeps its place for 14 minutes', async () => {
    const { pay, told, first } = await undecidedFor(14 * MINUTE_MS, cancelNow)
    const before = await contents(db)
    expectRefusal(await pay(), 409, refusals[0] ?? '', null)
    expect(await contents(db)).toEqual(before)
    expect([told, await db.$count(commands, eq(commands.resourceId, first))]).toEqual([[], 0])
  })

  test('an undecided payment gets one cancel, and payers are refused until it ends', async () => {
    const { pay, first, paymentsOf } = await undecidedFor(20 * MINUTE_MS, async () => {})
    for (const _ of [1, 2, 3]) expectRefusal(await pay(), 409, refusals[0] ?? '', null)
    const asked = await db.select().from(commands).where(eq(commands.resourceId, first))
    expect(asked).toMatchObject([{ kind: 'cancel', status: 'open' }])
    await cancelNow(first)
    expect((await pay()).status).toBe(200)
    expect(await paymentsOf()).toHaveLength(2)
  })

  test('an undecided payment that succeeds instead pays the link', async () => {
    const { pay, show, first } = await undecidedFor(20 * MINUTE_MS, (id) => succeed(db, id))
    expectRefusal(await pay(), 409, 'payment_link_not_active', null)
    expect(await show()).toMatchObject({ status: 'paid', payment_id: first })
  })
})

describe('An Idempotency-Key of a payer', () => {
  test.each([
    ['UPI', source],
    ['card', cardSource],
  ])('a repeat after the link was paid gets the first answer again, by %s', async (_, by) => {
    const { providers, exchanged } = countingExchange(db)
    const { pay, started, paymentsOf } = await shopWithLink(db, {}, { providers })
    const first = await pay(by, 'once')
    expect([first.status, first.headers.get('idempotent-replayed')]).toEqual([200, null])
    await succeed(db, first.body.id)
    const again = await pay(by, 'once')
    expect([again.status, again.body]).toStrictEqual([200, first.body])
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expectRefusal(await pay(by, 'twice'), 409, 'payment_link_not_active', null)
    expect([started.length, (await paymentsOf()).length]).toEqual([1, 1])
    expect(exchanged()).toBe(by.method === 'card' ? 1 : 0)
  })

  test('a key reused with another body is refused with 422', async () => {
    const { pay } = await shopWithLink(db)
    await pay(source, 'a')
    const before = await contents(db)
    const other = await pay({ ...source, vpa: 'else@upi' }, 'a')
    expectRefusal(other, 422, 'idempotency_key_reused', 'Idempotency-Key')
    expect(await contents(db)).toEqual(before)
  })

  test('a key counts separately at another link and for the merchant', async () => {
    const { call, pay, anybody } = await shopWithLink(db)
    const { body: other } = await call('POST', linkPath, link)
    const key = { 'idempotency-key': 'same' }
    const { body: first } = await pay(source, 'same')
    const second = await anybody('POST', `/pay/${other.id}`, source, key)
    const third = await call('POST', '/api/v1/payments', upi, key)
    expect([second.status, third.status]).toEqual([200, 201])
    expect(new Set([first.id, second.body.id, third.body.id]).size).toBe(3)
  })

  test('fifty requests with one key make one payment', async () => {
    const { pay, paymentsOf, started } = await shopWithLink(db)
    const answers = await Promise.all(Array.from({ length: 50 }, () => pay(source, 'fifty')))
    const [payment, ...others] = await paymentsOf()
    expect(others).toEqual([])
    for (const answer of answers)
      if (answer.status === 200) expect(answer.body.id).toBe(payment?.id)
      else expectRefusal(answer, 409, 'idempotency_key_in_use', 'Idempotency-Key')
    expect(started.map(({ workflowId }) => workflowId)).toEqual([payment?.id])
  })

  test('a key is free again after a refusal', async () => {
    const { pay } = await shopWithLink(db)
    const { body } = await pay()
    expectRefusal(await pay(source, 'a'), 409, 'payment_link_payment_in_progress', null)
    await fail(db, body.id)
    const paid = await pay(source, 'a')
    expect([paid.status, paid.headers.get('idempotent-replayed')]).toEqual([200, null])
  })
})
