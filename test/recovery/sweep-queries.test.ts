import { eq, inArray, sql } from 'drizzle-orm'
import { claimRow } from '../../db/lifecycle-steps.ts'
import { insertPayment, type NewPayment } from '../../db/payments/payments.ts'
import { payments } from '../../db/payments/schema.ts'
import { settlePayment } from '../../db/payments/steps.ts'
import { findTakenUp, strand, takeStranded } from '../../db/recovery/sweep.ts'
import { takeUpDelivery } from '../../db/webhooks/attempts.ts'
import { deliveries } from '../../db/webhooks/schema.ts'
import { addMerchant, testDb } from '../support/db.ts'
import { addDelivery } from '../webhooks/delivery.ts'

const db = testDb()
const start = new Date('2026-01-01T00:00:00Z')
const at = (seconds: number) => new Date(start.getTime() + seconds * 1000)

let values: NewPayment
beforeAll(async () => {
  const { id: merchantId } = await addMerchant(db)
  const method = { method: 'upi' as const, vpa: 'test@upi', captureMethod: 'automatic' as const }
  const noCard = { cardToken: null, cardBrand: null, cardLast4: null }
  const rest = { orderId: null, description: null, metadata: {}, provider: 'sandbox' }
  values = { merchantId, amount: 100, currency: 'INR', ...method, ...noCard, ...rest }
})
afterEach(async () => {
  await db.update(payments).set({ nextSweepAt: null, status: 'canceled', failureCode: null })
  await db.update(deliveries).set({ nextSweepAt: null, status: 'failed' })
})

/** Adds payments and returns their ids, oldest first. */
async function addPayments(count: number, now = start): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < count; i++) {
    const { payment } = await db.transaction((tx) => insertPayment(tx, values, now))
    ids.push(payment.id)
  }
  return ids
}

/** Adds a delivery that was committed at `start`. */
async function addOldDelivery() {
  const { secret: _, ...delivery } = await addDelivery(db, { url: 'https://shop.example/hooks' })
  await db
    .update(deliveries)
    .set({ createdAt: start, nextSweepAt: at(120) })
    .where(eq(deliveries.id, delivery.id))
  return delivery
}

async function sweep(seconds: number, limit = 10) {
  const taken = await takeStranded(db, at(seconds), limit)
  return { ...taken, paymentIds: taken.payments.map(({ id }) => id).sort() }
}

describe('The sweep', () => {
  test('finds an unclaimed row after doubling waits, and never finds a claimed row', async () => {
    const [stranded = '', takenUp = ''] = await addPayments(2)
    await claimRow(db, payments, takenUp)
    const sweptAt: number[] = []
    for (let seconds = 0; seconds <= 300; seconds += 10) {
      const { paymentIds } = await sweep(seconds)
      if (paymentIds.includes(stranded)) sweptAt.push(seconds)
      expect(paymentIds).not.toContain(takenUp)
    }
    expect(sweptAt).toEqual([30, 60, 120, 240])
  })

  test('finds an unclaimed row at least every hour', async () => {
    const [id] = await addPayments(1)
    expect((await sweep(10 * 3600)).paymentIds).toEqual([id])
    expect((await sweep(11 * 3600 - 1)).paymentIds).toEqual([])
    expect((await sweep(11 * 3600)).paymentIds).toEqual([id])
  })

  test('finds a delivery after two minutes, with the whole input of its workflow', async () => {
    const delivery = await addOldDelivery()
    expect((await sweep(119)).deliveries).toEqual([])
    expect((await sweep(120)).deliveries).toEqual([delivery])
    expect((await sweep(239)).deliveries).toEqual([])
    await takeUpDelivery(db, delivery.id, 'run')
    expect((await sweep(100_000)).deliveries).toEqual([])
  })

  test('finds a payment with the whole input of its workflow', async () => {
    const [id = ''] = await addPayments(1)
    const { payments: found } = await sweep(30)
    expect(found).toMatchObject([{ id, ...values }])
  })

  test('skips a row that another transaction holds', async () => {
    const [held = '', free] = await addPayments(2)
    await db.transaction(async (tx) => {
      await tx.select().from(payments).where(eq(payments.id, held)).for('update')
      expect((await sweep(30)).paymentIds).toEqual([free])
    })
    expect((await sweep(30)).paymentIds).toEqual([held])
  })

  test('takes each row once, however many sweeps run at the same time', async () => {
    const ids = await addPayments(20)
    const sweeps = await Promise.all(Array.from({ length: 5 }, () => sweep(30, 100)))
    expect(sweeps.flatMap(({ paymentIds }) => paymentIds).sort()).toEqual(ids)
  })

  test('takes at most the requested number of rows, the longest due first', async () => {
    const [third] = await addPayments(1, at(20))
    const [second] = await addPayments(1, at(10))
    const [first] = await addPayments(1)
    expect((await sweep(50, 2)).paymentIds).toEqual([first, second].sort())
    expect((await sweep(50, 2)).paymentIds).toEqual([third])
  })
})

describe('A claimed row that may have lost its workflow', () => {
  const page = { after: '', before: at(300), limit: 10 }

  test('is a payment that is open and old enough', async () => {
    const [open = '', settled = '', waiting = ''] = await addPayments(3)
    const [young = ''] = await addPayments(1, at(300))
    for (const id of [open, settled, young]) await claimRow(db, payments, id)
    const verdict = { status: 'failed' as const, failureCode: 'expired' as const }
    await settlePayment(db, settled, verdict, { feeBps: 0, now: start })
    const found = await findTakenUp(db, 'payments', page)
    expect(found).toEqual([open])
    expect(found).not.toContain(waiting) // the sweep still has this row
  })

  test('is a delivery that is pending and old enough', async () => {
    const [open, delivered, waiting] = [
      await addOldDelivery(),
      await addOldDelivery(),
      await addOldDelivery(),
    ]
    for (const { id } of [open, delivered]) await takeUpDelivery(db, id, 'run')
    await db.update(deliveries).set({ status: 'delivered' }).where(eq(deliveries.id, delivered.id))
    expect(await findTakenUp(db, 'deliveries', page)).toEqual([open.id])
    await takeUpDelivery(db, waiting.id, 'run')
    expect(await findTakenUp(db, 'deliveries', page)).toEqual([open.id, waiting.id])
    expect(await findTakenUp(db, 'deliveries', { ...page, before: start })).toEqual([])
  })

  test('comes in pages, in the order of the ids', async () => {
    const ids = await addPayments(5)
    await db.update(payments).set({ nextSweepAt: null }).where(inArray(payments.id, ids))
    const pages: string[][] = []
    for (let last = ''; pages.at(-1)?.length !== 0; last = pages.at(-1)?.at(-1) ?? '') {
      pages.push(await findTakenUp(db, 'payments', { ...page, after: last, limit: 2 }))
    }
    expect(pages).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4), []])
  })
})

describe('A requeue', () => {
  const isDue = sql`next_sweep_at is not null`

  test('hands a row to the next sweep', async () => {
    const [id = ''] = await addPayments(1)
    const delivery = await addOldDelivery()
    await claimRow(db, payments, id)
    await takeUpDelivery(db, delivery.id, 'run')
    await strand(db, 'payments', [id], at(600))
    await strand(db, 'deliveries', [delivery.id], at(600))
    expect(await sweep(599)).toMatchObject({ paymentIds: [], deliveries: [] })
    expect(await sweep(600)).toMatchObject({ paymentIds: [id], deliveries: [delivery] })
    expect(await findTakenUp(db, 'payments', { after: '', before: at(300), limit: 1 })).toEqual([])
  })

  test('leaves a row alone that was settled since', async () => {
    const [id = ''] = await addPayments(1)
    await claimRow(db, payments, id)
    const verdict = { status: 'canceled' as const, failureCode: null }
    await settlePayment(db, id, verdict, { feeBps: 0, now: start })
    await strand(db, 'payments', [id], at(600))
    expect(await db.$count(payments, isDue)).toBe(0)
  })

  test('leaves a row alone that the sweep has already', async () => {
    const [id = ''] = await addPayments(1)
    await strand(db, 'payments', [id], at(600))
    expect((await sweep(30)).paymentIds).toEqual([id])
  })

  test('without ids changes no row', async () => {
    await addPayments(1)
    await strand(db, 'payments', [], start)
    expect(await db.$count(payments, isDue)).toBe(1)
  })
})
