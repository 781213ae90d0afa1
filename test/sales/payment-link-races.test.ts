import { eq } from 'drizzle-orm'
import { paymentLinks } from '../../db/payments/schema.ts'
import { commands } from '../../db/requests/schema.ts'
import { closePaymentLink } from '../../workflows/index.ts'
import { testEndpoint } from '../support/endpoint.ts'
import { gate } from '../support/gate.ts'
import { resetWorkflow, until } from '../support/stack.ts'
import { addEndpoint } from '../webhooks/delivery.ts'
import { expectAgreed, saleOf, toldOf } from './sale-laws.ts'
import { byVpa, testSelling } from './selling.ts'

const shop = testSelling()
const { db, temporal, link, pay, post, handleOf, linkOf, untilStage, scheduled } = shop
const endpoint = testEndpoint()

const cancel = (id: string) => post(`payment_links/${id}/cancel`)

/** Returns the gate where the provider's answer to a charge waits. */
function charging() {
  const it = gate()
  shop.use({
    wrap: ({ confirmCharge }) => ({
      async confirmCharge(...args) {
        const charged = await confirmCharge(...args)
        await it.pass()
        return charged
      },
    }),
  })
  return it
}

/** Returns the gate where `closeLink` waits, before or after it closes the link. */
function closing(when: 'before' | 'after') {
  const it = gate()
  shop.use({
    activities: ({ closeLink }) => ({
      async closeLink(...args) {
        if (when === 'before') await it.pass()
        const closed = await closeLink(...args)
        if (when === 'after') await it.pass()
        return closed
      },
    }),
  })
  return it
}

async function commandsOf(id: string): Promise<string[]> {
  const asked = (await saleOf(db, id)).commands
  return asked.map(({ kind, status }) => `${kind} ${status}`).sort()
}

async function expectEnded(id: string, status: string, payment: string | null) {
  expect(await handleOf(id).result()).toBe(status)
  const { payments, refunds } = await saleOf(db, id)
  expect(payments.map((one) => one.status)).toEqual(payment ? [payment] : [])
  expect(refunds).toEqual([])
  expect(await toldOf(db, id)).toEqual(['created', status].sort())
  await expectAgreed(db, id)
}

describe('A link that is paid at the moment it expires', () => {
  test('a link is paid if the provider takes the money before the link expires', async () => {
    const answer = charging()
    const id = await link({ inMs: 1_500 })
    await pay(id)
    await answer.isReached()
    await untilStage(id, 'awaiting_payment_end')
    answer.open = true
    await expectEnded(id, 'paid', 'succeeded')
  })

  test('a payment is refused if it comes after the closing of an expired link has begun', async () => {
    const close = closing('before')
    const id = await link({ inMs: 1_500 })
    await close.isReached()
    await expect(pay(id)).rejects.toThrow('expired')
    close.open = true
    await expectEnded(id, 'expired', null)
  })

  test('a link is paid if its payment settles while the closing is held up', async () => {
    const close = closing('before')
    const id = await link({ inMs: 2_500 })
    const paymentId = await pay(id, byVpa('stuck@upi'))
    await untilStage(paymentId, 'waiting')
    await close.isReached()
    await handleOf(paymentId).signal('chargeSettled', 'succeeded')
    expect(await handleOf(paymentId).result()).toBe('succeeded')
    close.open = true
    expect(await handleOf(id).result()).toBe('paid')
    expect(await toldOf(db, id)).toEqual(['created', 'paid'])
  })
})

describe('A link that is canceled at the moment it is paid', () => {
  test('a cancel is refused with 409 if the provider takes the money first, and the link is paid', async () => {
    const answer = charging()
    const id = await link()
    await pay(id)
    await answer.isReached()
    const asked = cancel(id)
    await until(async () => (await commandsOf(id)).length > 0)
    answer.open = true
    expect((await asked).status).toBe(409)
    await expectEnded(id, 'paid', 'succeeded')
    expect(await commandsOf(id)).toContain('close refused')
  })

  test('a link is canceled if the cancel reaches the provider before the payment is decided', async () => {
    const id = await link()
    await untilStage(await pay(id, byVpa('stuck@upi')), 'waiting')
    expect((await cancel(id)).body.status).toBe('canceled')
    await expectEnded(id, 'canceled', 'canceled')
    expect(await commandsOf(id)).toEqual(['cancel done', 'close done'])
  })

  test('a payment is refused if it comes after the cancel of the link is recorded', async () => {
    const close = closing('after')
    const id = await link()
    await untilStage(id, 'active')
    const asked = cancel(id)
    await close.isReached()
    await expect(pay(id)).rejects.toThrow('canceled')
    close.open = true
    expect((await asked).body.status).toBe('canceled')
    await expectEnded(id, 'canceled', null)
  })

  test('a payment is refused if it comes while the cancel of the link is under way', async () => {
    const close = closing('before')
    const id = await link()
    await untilStage(id, 'active')
    const asked = cancel(id)
    await close.isReached()
    await expect(pay(id)).rejects.toThrow('canceled')
    close.open = true
    expect((await asked).body.status).toBe('canceled')
    await expectEnded(id, 'canceled', null)
  })
})

describe('A worker that dies while it closes a link', () => {
  test.each(['before', 'after'] as const)(
    'a link is closed once if the worker dies %s it closes the link',
    async (when) => {
      let deaths = 0
      shop.use({
        activities: ({ closeLink }) => ({
          async closeLink(...args) {
            if (when === 'after') await closeLink(...args)
            if (deaths++ === 0) throw new Error('killed')
            return closeLink(...args)
          },
        }),
      })
      const id = await link()
      await untilStage(id, 'active')
      expect((await cancel(id)).body.status).toBe('canceled')
      await expectEnded(id, 'canceled', null)
      expect(deaths).toBe(2)
    },
  )
})

describe('A link whose workflow was terminated', () => {
  async function terminate(id: string): Promise<void> {
    await handleOf(id).terminate()
    const createdAt = new Date(Date.now() - 10 * 60_000)
    await db.update(paymentLinks).set({ createdAt }).where(eq(paymentLinks.id, id))
  }

  test('a link expires after `reconcile` and the sweep have started another workflow', async () => {
    const id = await link({ inMs: 2_000 })
    await untilStage(id, 'active')
    await terminate(id)
    await scheduled('reconcile')
    await scheduled('sweep')
    await expectEnded(id, 'expired', null)
  })

  test('a link that was paid meanwhile gets no other workflow', async () => {
    const id = await link()
    await untilStage(id, 'active')
    await terminate(id)
    await handleOf(await pay(id)).result()
    expect(await linkOf(id)).toMatchObject({ status: 'paid', nextSweepAt: null })
    await scheduled('reconcile')
    await scheduled('sweep')
    expect((await handleOf(id).describe()).status.name).toBe('TERMINATED')
    await expectAgreed(db, id)
  })

  test('a cancel after the termination is accepted with 202, and done once the sweep has sent it', async () => {
    const id = await link()
    await untilStage(id, 'active')
    await terminate(id)
    expect((await cancel(id)).status).toBe(202)
    await db.update(commands).set({ nextSweepAt: new Date() }).where(eq(commands.resourceId, id))
    await scheduled('sweep')
    await expectEnded(id, 'canceled', null)
  })
})

describe('An operator and a payment link', () => {
  test('a Cancel by an operator cancels a link, even a link that is being paid', async () => {
    const [id, other] = [await link(), await link()]
    await untilStage(id, 'active')
    await handleOf(id).cancel()
    await expectEnded(id, 'canceled', null)
    await untilStage(await pay(other, byVpa('stuck@upi')), 'waiting')
    await handleOf(other).cancel()
    await expectEnded(other, 'canceled', 'canceled')
  })

  test('a Reset leaves an active link waiting, and changes nothing for a paid link', async () => {
    const id = await link()
    await untilStage(id, 'active')
    await resetWorkflow(temporal.client(), id)
    await untilStage(id, 'active')
    await pay(id)
    expect(await handleOf(id).result()).toBe('paid')
    await resetWorkflow(temporal.client(), id)
    await expectEnded(id, 'paid', 'succeeded')
  })

  test('an update that closes a link returns "paid" if the payment succeeds first', async () => {
    const id = await link()
    const answer = charging()
    await pay(id)
    await answer.isReached()
    const asked = handleOf(id).executeUpdate(closePaymentLink)
    answer.open = true
    expect(await asked).toBe('paid')
    await expectEnded(id, 'paid', 'succeeded')
  })
})

test('The merchant gets one webhook for each status of a link', async () => {
  await addEndpoint(db, { merchantId: shop.merchantId(), url: endpoint.url })
  endpoint.requests = []
  const [paid, expired, canceled] = [await link(), await link({ inMs: 500 }), await link()]
  await pay(paid)
  await cancel(canceled)
  const told = (id: string) =>
    endpoint.requests
      .map(({ body }) => JSON.parse(body))
      .filter((one) => one.data.object.id === id)
      .map((one) => `${one.type}: ${one.data.object.status}`)
      .sort()
  const all = [paid, expired, canceled]
  await until(async () => all.every((id) => told(id).length === 2))
  const created = 'payment_link.created: active'
  expect(told(paid)).toEqual([created, 'payment_link.paid: paid'])
  expect(told(expired)).toEqual([created, 'payment_link.expired: expired'])
  expect(told(canceled)).toEqual(['payment_link.canceled: canceled', created])
})
