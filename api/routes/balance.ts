import { z } from '@hono/zod-openapi'
import { AppError } from '../../core/errors.ts'
import {
  balanceTransactionTypes,
  merchantAccounts,
  platformAccounts,
} from '../../core/money/ledger.ts'
import { SANDBOX } from '../../core/sandbox.ts'
import {
  getBalances,
  getBalanceTransaction,
  insertTopup,
  listBalanceTransactions,
  toBalance,
  toBalanceTransaction,
} from '../../db/ledger/balance.ts'
import { DEFAULT_PROVIDER } from '../../providers/index.ts'
import { Amount, Currency, Id, Timestamp, toListBody, toPage } from '../http/fields.ts'
import { createOnce } from '../http/idempotency.ts'
import {
  type Deps,
  idempotencyKey,
  json,
  listRoute,
  merchantRoute,
  newRouter,
  retrieveRoute,
} from '../http/router.ts'

const currency = z.string().openapi({ example: 'INR' })
const Sums = z.array(z.object({ amount: z.int().min(0).openapi({ example: 50000 }), currency }))

const Balance = z
  .object({
    object: z.literal('balance'),
    available: Sums.openapi({ description: 'What can be refunded or paid out' }),
    held: Sums.openapi({ description: 'What is on its way in refunds and payouts' }),
    owed: Sums.openapi({ description: 'What you owe: what comes in repays it first' }),
  })
  .openapi('Balance')

const BalanceTransaction = z
  .object({
    id: z.string().openapi({ example: 'txn_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('balance_transaction'),
    type: z.enum(balanceTransactionTypes),
    amount: z.int().openapi({ description: 'What it changed of `available`', example: -20000 }),
    currency,
    source: z.string().openapi({
      description: 'The id of what it books',
      example: 're_01jzxd4f7ve7q9w4d4pmx6k5hr',
    }),
    postings: z
      .array(
        z.object({ account: z.enum([...merchantAccounts, ...platformAccounts]), amount: z.int() }),
      )
      .openapi({
        description:
          'They sum to zero. A credit is positive; `receivable`, which is what you owe, grows by debits',
      }),
    created_at: Timestamp,
  })
  .openapi('BalanceTransaction')

const Topup = z
  .object({
    id: z.string().openapi({ example: 'topup_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('balance_topup'),
    amount: Amount,
    currency,
    created_at: Timestamp,
  })
  .openapi('BalanceTopup')

const retrieveBalance = merchantRoute({
  method: 'get',
  path: '/balance',
  operationId: 'retrieveBalance',
  responses: { 200: json(Balance, 'A sum per currency that you have ever had') },
})

const listTransactions = listRoute(
  '/balance_transactions',
  'listBalanceTransactions',
  BalanceTransaction,
  {
    type: z.enum(balanceTransactionTypes).optional(),
    source: Id.optional(),
  },
)
const retrieveTransaction = retrieveRoute(
  '/balance_transactions/{id}',
  'retrieveBalanceTransaction',
  BalanceTransaction,
)

const createTopup = merchantRoute(
  {
    method: 'post',
    path: '/test/balance_topups',
    operationId: 'createTestBalanceTopup',
    description: 'Adds money of the sandbox to your balance, at once.',
    request: {
      headers: idempotencyKey,
      body: {
        required: true,
        ...json(
          z.strictObject({ amount: Amount, currency: Currency }).openapi('CreateBalanceTopup'),
        ),
      },
    },
    responses: { 201: json(Topup, 'What was added') },
  },
  ['conflict'],
)

export function balanceRoutes(deps: Deps) {
  const { db } = deps
  return newRouter()
    .openapi(retrieveBalance, async (c) =>
      c.json(toBalance(await getBalances(db, c.var.caller.merchantId)), 200),
    )
    .openapi(listTransactions, async (c) => {
      const { type, source, ...query } = c.req.valid('query')
      const filter = { ...toPage(query), type, source }
      const list = await listBalanceTransactions(db, c.var.caller.merchantId, filter)
      return c.json(toListBody(list, toBalanceTransaction), 200)
    })
    .openapi(retrieveTransaction, async (c) => {
      const { id } = c.req.valid('param')
      const found = await getBalanceTransaction(db, c.var.caller.merchantId, id)
      return c.json(toBalanceTransaction(found), 200)
    })
    .openapi(createTopup, async (c) => {
      if (DEFAULT_PROVIDER !== SANDBOX)
        throw new AppError('conflict', 'Only a balance at the sandbox can be topped up.')
      const values = { merchantId: c.var.caller.merchantId, ...c.req.valid('json') }
      const body = await createOnce(c, deps, c.req.valid('json'), {
        write: async (tx) => ({ body: await insertTopup(tx, values, new Date()), start: null }),
      })
      return c.json(body, 201)
    })
}
