import { eq, sql } from 'drizzle-orm'
import { payments } from '../../db/payments/schema.ts'
import { authorizePayment, settlePayment } from '../../db/payments/steps.ts'
import { takeStranded } from '../../db/recovery/sweep.ts'
import { commands, idempotencyKeys } from '../../db/requests/schema.ts'
import { testDb } from '../support/db.ts'
import { expectRefusal, fail, succeed, testShop, upi } from '../support/http.ts'

const db = testDb()

let shop: Awaited<ReturnType<typeof testShop>>
beforeEach(async () => {
  shop = await testShop(db)
})
afterEach(() => db.update(commands).set({ status: 'done', nextSweepAt: null }))

const post = (path: string, body?: object, key?: string) =>
  shop.call('POST', `/api/v1/payments${path}`, body, key ? { 'idempotency-key': key } : {})

async function authorized(): Promise<string> {
  const { body } = await post('', { ...upi, capture_method: 'manual' })
  await authorizePayment(db, body.id, new Date())
  return body.id
}

const commandsOf = (id: string) => db.select().from(commands).where(eq(commands.resourceId, id))

async function onlyCommandOf(id: string) {
  const [command, ...others] = await commandsOf(id)
  if (!command || others.length > 0) throw new Error(`Not one command of ${id}`)
  return command
}

test('fifty commands at once on a payment: one is accepted, and the others get 409 and change nothing', async () => {
  const id = await authorized()
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      post(`/${id}/${i % 2 ? 'cancel' : 'capture'}`, {}, `${i}`),
    ),
  )
  const refused = answers.filter(({ status }) => status !== 202)
  expect(refused).toHaveLength(49)
  for (const answer of refused) expectRefusal(answer, 409, 'conflict')
  const command = await onlyCommandOf(id)
  const winner = answers.findIndex(({ status }) => status === 202)
  expect([command.kind, command.status]).toEqual([winner % 2 ? 'cancel' : 'capture', 'open'])
  const keys = await db.select().from(idempotencyKeys).where(sql`command_id = ${command.id}`)
  expect(keys.map(({ key }) => key)).toEqual([`${winner}`])
  const all = eq(idempotencyKeys.merchantId, shop.merchant.id)
  expect(await db.$count(idempotencyKeys, all)).toBe(1)
})

test.each([
  ['succeeds', succeed],
  ['fails', fail],
])('a payment that %s during a cancel leaves no command open', async (_, settle) => {
  for (let round = 0; round < 25; round++) {
    const id = await authorized()
    const [answer] = await Promise.all([
      post(`/${id}/cancel`),
      new Promise((resolve) => setTimeout(resolve, round % 5)).then(() => settle(db, id)),
    ])
    const asked = (await commandsOf(id)).map(({ status, nextSweepAt }) => ({ status, nextSweepAt }))
    const refused = [{ status: 'refused', nextSweepAt: null }]
    // If the settlement met an open command, it refused the command: the row holds the answer.
    if (asked.length > 0) expect(asked).toEqual(refused)
    else expectRefusal(answer, 409, 'conflict')
  }
})

test('an unanswered command is swept after doubling waits, and never once it is answered', async () => {
  const id = await authorized()
  await db.update(payments).set({ nextSweepAt: null }).where(eq(payments.id, id))
  await post(`/${id}/capture`, { amount: 7 })
  const { createdAt, ...command } = await onlyCommandOf(id)
  const sweep = (seconds: number) =>
    takeStranded(db, new Date(createdAt.getTime() + seconds * 1_000), 10)
  const sweptAt: number[] = []
  for (let seconds = 0; seconds <= 300; seconds += 10) {
    const found = await sweep(seconds)
    if (found.commands.length > 0) sweptAt.push(seconds)
    for (const row of found.commands) {
      expect(row).toMatchObject({ id: command.id, kind: 'capture', amount: 7, resourceId: id })
      expect(found.payments.map((payment) => payment.id)).toContain(id)
    }
  }
  expect(sweptAt).toEqual([30, 60, 120, 240])
  const verdict = { status: 'succeeded' as const, failureCode: null, amountCaptured: 7 }
  await settlePayment(db, id, verdict, { feeBps: 0, now: new Date() })
  expect((await onlyCommandOf(id)).status).toBe('done')
  expect((await sweep(1_000_000)).commands).toEqual([])
})

test('a capture is refused if the payment succeeds with another amount', async () => {
  const id = await authorized()
  await post(`/${id}/capture`, { amount: 7 })
  await succeed(db, id)
  expect(await onlyCommandOf(id)).toMatchObject({ status: 'refused', nextSweepAt: null })
})

test('a payment that is settled right after a requeue is not swept', async () => {
  const id = await authorized()
  await db.update(payments).set({ nextSweepAt: new Date() }).where(eq(payments.id, id))
  await succeed(db, id)
  const [row] = await db.select().from(payments).where(eq(payments.id, id))
  expect(row).toMatchObject({ status: 'succeeded', nextSweepAt: null })
})

test('the database keeps every open command in the sweep and every answered one out of the sweep', async () => {
  const id = await authorized()
  await post(`/${id}/capture`)
  const set = (values: Partial<typeof commands.$inferInsert>) =>
    db.update(commands).set(values).where(eq(commands.resourceId, id))
  const broken = { cause: { constraint: 'commands_swept' } }
  await expect(set({ status: 'done' })).rejects.toMatchObject(broken)
  await expect(set({ status: 'refused' })).rejects.toMatchObject(broken)
  await expect(set({ nextSweepAt: null })).rejects.toMatchObject(broken)
})

test('the idempotency key of a command is new again after 24 hours', async () => {
  const id = await authorized()
  await post(`/${id}/capture`, {}, 'old')
  const later = await post(`/${id}/capture`, {}, 'old')
  expect(later.status).toBe(202) // the repeat attaches to the same command
  const old = sql`now() - interval '24:00:01'`
  await db
    .update(idempotencyKeys)
    .set({ createdAt: old })
    .where(eq(idempotencyKeys.merchantId, shop.merchant.id))
  expectRefusal(await post(`/${id}/capture`, {}, 'old'), 409, 'conflict')
  const first = await onlyCommandOf(id)
  await db
    .update(commands)
    .set({ status: 'refused', nextSweepAt: null })
    .where(eq(commands.id, first.id))
  expect((await post(`/${id}/capture`, { amount: 7 }, 'old')).status).toBe(202)
  const open = (await commandsOf(id)).filter(({ status }) => status === 'open')
  expect(open).toMatchObject([{ amount: 7 }])
})
