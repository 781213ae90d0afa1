import { openLinkCommand } from '../../db/payment-links/payment-links.ts'
import { until } from '../support/stack.ts'
import { timeSkippingEnv } from '../support/temporal.ts'
import { expectAgreed, saleOf, toldOf } from './sale-laws.ts'
import { byVpa, HOUR_MS, testSelling } from './selling.ts'

const shop = testSelling(timeSkippingEnv)
const { db, link, pay, post, handleOf, linkOf, untilStage } = shop

const stateOf = (id: string) => handleOf(id).query('state')

test('An unpaid link expires at its expiry time', async () => {
  const id = await link()
  await untilStage(id, 'active')
  expect(await handleOf(id).result()).toBe('expired')
  const { expiresAt, updatedAt, paymentId } = await linkOf(id)
  const lateMs = updatedAt.getTime() - (expiresAt?.getTime() ?? 0)
  expect(lateMs).toBeGreaterThanOrEqual(0)
  expect(lateMs).toBeLessThan(60_000)
  expect(paymentId).toBeNull()
  expect(await toldOf(db, id)).toEqual(['created', 'expired'])
  await expect(pay(id)).rejects.toThrow('The payment link is expired')
  await expectAgreed(db, id)
})

test('A link that is paid ends with status "paid" before its expiry time', async () => {
  const id = await link()
  const paymentId = await pay(id)
  expect(await handleOf(id).result()).toBe('paid')
  const { status, createdAt, updatedAt, ...row } = await linkOf(id)
  expect([status, row.paymentId, row.nextSweepAt]).toEqual(['paid', paymentId, null])
  expect(Math.abs(updatedAt.getTime() - createdAt.getTime())).toBeLessThan(HOUR_MS)
  expect(await toldOf(db, id)).toEqual(['created', 'paid'])
  await expect(pay(id)).rejects.toThrow('The payment link is paid')
  expect(await shop.detailsOf(id)).toContain(`**Done**: paid by payment \`${paymentId}\``)
  await expectAgreed(db, id)
})

test('A link whose payment failed stays active and can be paid by another payment', async () => {
  const id = await link()
  const failed = await pay(id, byVpa('fail@upi'))
  await untilStage(failed, 'done')
  expect(await linkOf(id)).toMatchObject({ status: 'active', paymentId: null })
  const paymentId = await pay(id)
  expect(await handleOf(id).result()).toBe('paid')
  expect(await linkOf(id)).toMatchObject({ paymentId })
  expect(await toldOf(db, id)).toEqual(['created', 'paid'])
  await expectAgreed(db, id)
})

test('A link that never expires can be paid after three years', async () => {
  const id = await link({ inMs: null })
  // The stage is `active` from the first moment, before the workflow has looked up the link.
  await until(async () => (await shop.detailsOf(id)).includes('it can be paid for ever'))
  await shop.temporal.sleep(3 * 365 * 24 * HOUR_MS)
  expect(await stateOf(id)).toEqual({ stage: 'active', status: 'active' })
  await pay(id)
  expect(await handleOf(id).result()).toBe('paid')
  await expectAgreed(db, id)
})

test('A payment for a canceled link is refused', async () => {
  const id = await link()
  const { status, body } = await post(`payment_links/${id}/cancel`)
  expect([status, body.status]).toEqual([200, 'canceled'])
  expect(await handleOf(id).result()).toBe('canceled')
  await expect(pay(id)).rejects.toThrow('The payment link is canceled')
  expect(await toldOf(db, id)).toEqual(['canceled', 'created'])
  expect((await saleOf(db, id)).commands).toMatchObject([{ kind: 'close', status: 'done' }])
  await expectAgreed(db, id)
})

test('A cancel stored before the link expires wins, even if its update was lost', async () => {
  const id = await link()
  await db.transaction((tx) =>
    openLinkCommand(tx, shop.merchantId(), id, { kind: 'close' }, new Date()),
  )
  expect(await handleOf(id).result()).toBe('canceled')
  expect((await saleOf(db, id)).commands).toMatchObject([{ kind: 'close', status: 'done' }])
  await expectAgreed(db, id)
})

describe('A payment that is on its way when its link expires', () => {
  /** Pays a link in time by a payment that is decided only after the link's expiry time. */
  async function expiring(vpa: string) {
    shop.use({ delayMs: 2 * HOUR_MS })
    const id = await link({ inMs: HOUR_MS })
    const paymentId = await pay(id, byVpa(vpa))
    await untilStage(paymentId, 'waiting')
    const passing = shop.temporal.sleep(HOUR_MS + 60_000)
    await untilStage(id, 'awaiting_payment_end')
    expect(await stateOf(id)).toEqual({ stage: 'awaiting_payment_end', status: 'active' })
    expect(await shop.detailsOf(id)).toContain(`payment \`${paymentId}\` began in time`)
    await passing
    return { id, paymentId }
  }

  test('a link is paid if the payment that began in time succeeds', async () => {
    const { id, paymentId } = await expiring('test@upi')
    expect(await handleOf(id).result()).toBe('paid')
    expect(await linkOf(id)).toMatchObject({ status: 'paid', paymentId })
    expect(await toldOf(db, id)).toEqual(['created', 'paid'])
    await expectAgreed(db, id)
  })

  test('a link expires if the payment that began in time fails', async () => {
    const { id } = await expiring('fail@upi')
    await expect(pay(id)).rejects.toThrow()
    expect(await handleOf(id).result()).toBe('expired')
    expect(await toldOf(db, id)).toEqual(['created', 'expired'])
    await expectAgreed(db, id)
  })

  test('a payment is canceled with its link if the merchant cancels the link', async () => {
    const { id } = await expiring('test@upi')
    const { status, body } = await post(`payment_links/${id}/cancel`)
    expect([status, body.status]).toEqual([200, 'canceled'])
    expect(await handleOf(id).result()).toBe('canceled')
    expect((await saleOf(db, id)).payments).toMatchObject([{ status: 'canceled' }])
    await expectAgreed(db, id)
  })
})
