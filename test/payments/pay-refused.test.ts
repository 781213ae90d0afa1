import { eq } from 'drizzle-orm'
import { closeLink } from '../../db/payment-links/steps.ts'
import { paymentLinks, payments } from '../../db/payments/schema.ts'
import { testDb } from '../support/db.ts'
import { contents, expectRefusal, fail, succeed } from '../support/http.ts'
import { cardSource, countingExchange, link, linkPath, shopWithLink, source } from './payers.ts'

const db = testDb()

describe('A link that has expired, though nobody has recorded that yet', () => {
  test('is shown as what it is, and as open while a payment that came in time is', async () => {
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

describe('A link is no place to try out cards:', () => {
  test('after twenty payments that failed within an hour it takes no more, and then it does', async () => {
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

describe('A link is not paid', () => {
  test.each(['paid', 'expired', 'canceled'] as const)('once it is %s', async (status) => {
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

  test('from the moment when it expires, though nobody has recorded that yet', async () => {
    const { id, pay } = await shopWithLink(db)
    const expiresAt = new Date(Date.now() - 1)
    await db.update(paymentLinks).set({ expiresAt }).where(eq(paymentLinks.id, id))
    const before = await contents(db)
    for (const by of [source, cardSource])
      expectRefusal(await pay(by), 409, 'payment_link_not_active', null)
    expect(await contents(db)).toEqual(before)
  })

  test('once its merchant has asked to cancel it', async () => {
    const { pay, cancel, show } = await shopWithLink(db)
    expect((await cancel()).status).toBe(202)
    const before = await contents(db)
    for (const by of [source, cardSource])
      expectRefusal(await pay(by), 409, 'payment_link_not_active', null)
    expect(await contents(db)).toEqual(before)
    expect((await show()).status).toBe('active') // until its workflow has recorded it
  })

  test.each(['pending', 'authorized'] as const)('while a payment for it is %s', async (status) => {
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

  test('with a card that would be passed on for nothing', async () => {
    const { providers, exchanged } = countingExchange(db)
    const { id, pay } = await shopWithLink(db, {}, { providers })
    await closeLink(db, id, 'expired', new Date())
    expectRefusal(await pay(cardSource), 409, 'payment_link_not_active', null)
    expect(exchanged()).toBe(0)
  })
})
