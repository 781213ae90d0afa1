import { eq } from 'drizzle-orm'
import { closeLink } from '../../db/payment-links/steps.ts'
import { paymentLinks, payments } from '../../db/payments/schema.ts'
import { testDb } from '../support/db.ts'
import { contents, expectRefusal, fail, succeed } from '../support/http.ts'
import { cardSource, countingExchange, link, linkPath, shopWithLink, source } from './payers.ts'

const db = testDb()

describe('An expired link whose expiry is not recorded yet', () => {
  test('an expired link is shown as active only while a payment in time is open', async () => {
    const { id, pay, look, show } = await shopWithLink(db)
    const { body } = await pay()
    const expiresAt = new Date(Date.now() - 1)
    await db.update(paymentLinks).set({ expiresAt }).where(eq(paymentLinks.id, id))
    expect((await look()).body.status).toBe('active')
    await fail(db, body.id)
    expect((await look()).body.status).toBe('expired')
    expect((await show()).status).toBe('active')
  })
})

describe('The limit on failed payments of a link', () => {
  test('a link with twenty failed payments takes the next one only after an hour', async () => {
    const { id, call, anybody, pay, paymentsOf } = await shopWithLink(db)
    for (let n = 0; n < 20; n++) {
      const { status, body } = await pay()
      expect(status).toBe(200)
      await fail(db, body.id)
    }
    const before = await contents(db)
    const refused = await pay(cardSource, 'x')
    expectRefusal(refused, 429, 'rate_limited', null)
    expect(refused.headers.get('retry-after')).toBe('3600')
    expect(await contents(db)).toEqual(before)
    const { body: other } = await call('POST', linkPath, link)
    expect((await anybody('POST', `/pay/${other.id}`, source)).status).toBe(200)

    const [first] = await paymentsOf()
    const anHourAgo = new Date(Date.now() - 60 * 60_000)
    await db
      .update(payments)
      .set({ createdAt: anHourAgo })
      .where(eq(payments.id, first?.id ?? ''))
    expect((await pay()).status).toBe(200)
    expect(await paymentsOf()).toHaveLength(21)
    expect((await call('GET', `${linkPath}/${id}`)).body.status).toBe('active')
  })
})

describe('A link that cannot be paid', () => {
  test.each(['paid', 'expired', 'canceled'] as const)('paying a %s link fails', async (status) => {
    const { id, pay, look } = await shopWithLink(db)
    if (status === 'paid') await succeed(db, (await pay()).body.id)
    else await closeLink(db, id, status, new Date())
    const before = await contents(db)
    for (const by of [source, cardSource]) {
      const refused = await pay(by, by.method)
      expectRefusal(refused, 409, 'payment_link_not_active', null)
      expect(refused.body.error.message).toContain(status)
    }
    expect(await contents(db)).toEqual(before)
    expect((await look()).body.status).toBe(status)
  })

  test('an expired link refuses payments even before its expiry is recorded', async () => {
    const { id, pay } = await shopWithLink(db)
    const expiresAt = new Date(Date.now() - 1)
    await db.update(paymentLinks).set({ expiresAt }).where(eq(paymentLinks.id, id))
    const before = await contents(db)
    for (const by of [source, cardSource])
      expectRefusal(await pay(by), 409, 'payment_link_not_active', null)
    expect(await contents(db)).toEqual(before)
  })

  test('a link refuses payments after its merchant has requested a cancel', async () => {
    const { pay, cancel, show } = await shopWithLink(db)
    expect((await cancel()).status).toBe(202)
    const before = await contents(db)
    for (const by of [source, cardSource])
      expectRefusal(await pay(by), 409, 'payment_link_not_active', null)
    expect(await contents(db)).toEqual(before)
    expect((await show()).status).toBe('active') // until the workflow records the cancel
  })

  test.each(['pending', 'authorized'] as const)('a %s payment blocks the next', async (status) => {
    const { pay, paymentsOf } = await shopWithLink(db)
    const { body } = await pay()
    await db.update(payments).set({ status }).where(eq(payments.id, body.id))
    const before = await contents(db)
    expectRefusal(await pay(), 409, 'payment_link_payment_in_progress', null)
    expect(await contents(db)).toEqual(before)
    await fail(db, body.id)
    expect((await pay()).status).toBe(200)
    expect(await paymentsOf()).toHaveLength(2)
  })

  test('an expired link refuses a card without passing it to the provider', async () => {
    const { providers, exchanged } = countingExchange(db)
    const { id, pay } = await shopWithLink(db, {}, { providers })
    await closeLink(db, id, 'expired', new Date())
    expectRefusal(await pay(cardSource), 409, 'payment_link_not_active', null)
    expect(exchanged()).toBe(0)
  })
})
