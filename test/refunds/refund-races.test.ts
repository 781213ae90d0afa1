import { AppError } from '../../core/errors.ts'
import { insertRefund } from '../../db/refunds/refunds.ts'
import { testDb } from '../support/db.ts'
import { succeed, testShop, upi } from '../support/http.ts'
import { pause } from '../support/stack.ts'

const TIMES = 100
const SETTLING_MS = 8 // about as long as the settling takes

const db = testDb()

test('a refund requested as its payment succeeds is taken or refused with "conflict"', async () => {
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
