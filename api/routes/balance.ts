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
import { Amount, Currency, Id, Timestamp } from '../http/fields.ts'
import {
  answerCreated,
  creationRoute,
  listHandler,
  listRoute,
  retrieveHandler,
  retrieveRoute,
} from '../http/resource.ts'
import { type Deps, json, merchantRoute, newRouter } from '../http/router.ts'

const currency = z.string().openapi({ example: 'INR' })
const Sums = z.array(z.object({ amount: z.int().min(0).openapi({ example: 50000 }), currency }))

const Balance = z
  .object({
    object: z.literal('balance'),
    available: Sums.openapi({ description: 'The money that you can refund or pay out' }),
    held: Sums.openapi({ description: 'The money that refunds and payouts in progress hold' }),
    owed: Sums.openapi({ description: 'Your debt. Incoming money repays the debt first' }),
  })
  .openapi('Balance')

const BalanceTransaction = z
  .object({
    id: z.string().openapi({ example: 'txn_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('balance_transaction'),
    type: z.enum(balanceTransactionTypes),
    amount: z.int().openapi({ description: 'The change of `available`', example: -20000 }),
    currency,
    source: z.string().openapi({
      description: 'The id of the booked object',
      example: 're_01jzxd4f7ve7q9w4d4pmx6k5hr',
    }),
    postings: z
      .array(
        z.object({ account: z.enum([...merchantAccounts, ...platformAccounts]), amount: z.int() }),
      )
      .openapi({
        description:
          'The postings sum to zero. A credit is positive. `receivable` is your debt, and grows by debits',
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
  responses: { 200: json(Balance, 'One sum for each currency that you have ever had') },
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

const createTopup = creationRoute({
  path: '/test/balance_topups',
  operationId: 'createTestBalanceTopup',
  description: 'Adds money of the sandbox to your balance at once.',
  input: z.strictObject({ amount: Amount, currency: Currency }).openapi('CreateBalanceTopup'),
  output: Topup,
  result: 'The added money',
  errors: ['conflict'],
})

export function balanceRoutes(deps: Deps) {
  const { db } = deps
  const answerList = listHandler(db, listBalanceTransactions, toBalanceTransaction)
  return newRouter()
    .openapi(retrieveBalance, async (c) =>
      c.json(toBalance(await getBalances(db, c.var.caller.merchantId)), 200),
    )
    .openapi(listTransactions, (c) => answerList(c, c.req.valid('query')))
    .openapi(retrieveTransaction, retrieveHandler(db, getBalanceTransaction, toBalanceTransaction))
    .openapi(createTopup, (c) => {
      if (DEFAULT_PROVIDER !== SANDBOX)
        throw new AppError('conflict', 'Only a balance at the sandbox can be topped up.')
      const values = { merchantId: c.var.caller.merchantId, ...c.req.valid('json') }
      return answerCreated(c, deps, {
        write: async (tx) => ({ body: await insertTopup(tx, values, new Date()), start: null }),
      })
    })
}
