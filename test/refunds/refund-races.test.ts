import { AppError } from '../../core/errors.ts'
import { insertRefund } from '../../db/refunds/refunds.ts'
import { testDb } from '../support/db.ts'
import { succeed, testShop, upi } from '../support/http.ts'
import { pause } from '../support/stack.ts'

const TIMES = 100
const SETTLING_MS = 8 // takes about that long

const db = testDb()

test('a refund asked for just as its payment succeeds comes too early or is taken, and is never too much', async () => {
  const { call, merchant } = await testShop(db)
  const answers = new Set<string>()
  for (let time = 0; time < TIMES; time++) {
    const { body } = await call('POST', '/api/v1/payments', upi)
    const of = { merchantId: merchant.id, paymentId: body.id as string }
    const values = { ...of, amount: upi.amount, reason: null, metadata: {} }
    const settling = succeed(db, body.id)
    await pause(Math.random() * SETTLING_MS)
    const answer = await db
      .transaction(async (tx) => (await insertRefund(tx, values, new Date())).refund.status)
      .catch((error) => (error instanceof AppError ? error.code : `${error}`))
    answers.add(answer)
    await settling
  }
  expect([...answers].filter((one) => one !== 'conflict')).toEqual(['pending'])
})
