import { z } from '@hono/zod-openapi'
import { payoutLifecycle } from '../../core/lifecycles/payout.ts'
import {
  getPayout,
  insertPayout,
  listPayouts,
  openPayoutCommand,
  toPayout,
} from '../../db/payouts/payouts.ts'
import { DEFAULT_PROVIDER } from '../../providers/index.ts'
import { payoutStart } from '../../temporal/starts.ts'
import { commandHandler, commandRoute, noFields } from '../http/commands.ts'
import { Amount, Currency, Metadata, Text, Timestamp } from '../http/fields.ts'
import {
  answerCreated,
  creationRoute,
  listHandler,
  listRoute,
  retrieveHandler,
  retrieveRoute,
} from '../http/resource.ts'
import { type Deps, newRouter } from '../http/router.ts'
import { checkBankCode, Destination, MaskedDestination } from './payout-destination.ts'

export const Payout = z
  .object({
    id: z.string().openapi({ example: 'po_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('payout'),
    status: z.enum(payoutLifecycle.statuses),
    amount: Amount,
    currency: z.string().openapi({ example: 'INR' }),
    destination: MaskedDestination.openapi({ description: 'The masked destination' }),
    failure_code: z.enum(payoutLifecycle.failureCodes).nullable(),
    needs_attention: z.boolean().openapi({
      description:
        'True if an operator must look into the payout, for example because the provider gives no verdict',
    }),
    description: z.string().nullable(),
    metadata: Metadata,
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .openapi('Payout')

const CreatePayout = z
  .strictObject({
    amount: Amount,
    currency: Currency,
    destination: Destination,
    description: Text.optional(),
    metadata: Metadata.default({}),
  })
  .superRefine(checkBankCode)
  .openapi('CreatePayout', {
    example: {
      amount: 20000,
      currency: 'INR',
      destination: { type: 'vpa', vpa: 'seller@upi' },
    },
  })

const create = creationRoute({
  path: '/payouts',
  operationId: 'createPayout',
  description: 'The amount is held from your balance until the payout completes.',
  input: CreatePayout,
  output: Payout,
  result: 'The payout, with status `pending`. Its workflow submits it',
  errors: ['insufficient_balance'],
})

const cancel = commandRoute({
  path: '/payouts/{id}/cancel',
  operationId: 'cancelPayout',
  input: noFields('CancelPayout'),
  output: Payout,
})

const complete = commandRoute({
  path: '/test/payouts/{id}/complete',
  operationId: 'completeTestPayout',
  description: 'Completes a payout at the sandbox. Its status must be `pending` or `processing`.',
  input: noFields('CompleteTestPayout'),
  output: Payout,
})

const fail = commandRoute({
  path: '/test/payouts/{id}/fail',
  operationId: 'failTestPayout',
  description:
    'Fails a payout at the sandbox if its status is `pending` or `processing`. Returns the money of a payout if its status is `completed`.',
  input: noFields('FailTestPayout'),
  output: Payout,
})

const retrieve = retrieveRoute('/payouts/{id}', 'retrievePayout', Payout)

const list = listRoute('/payouts', 'listPayouts', Payout, {
  status: z.enum(payoutLifecycle.statuses).optional(),
})

export function payoutRoutes(deps: Deps) {
  const { db, cipher } = deps
  const runCommand = commandHandler(deps, {
    open: openPayoutCommand,
    get: getPayout,
    show: toPayout,
    start: payoutStart,
  })
  const answerList = listHandler(db, listPayouts, toPayout)
  return newRouter()
    .openapi(create, (c) => {
      const { merchantId } = c.var.caller
      const { description = null, ...input } = c.req.valid('json')
      const values = { merchantId, provider: DEFAULT_PROVIDER, description, ...input }
      return answerCreated(c, deps, {
        write: async (tx) => {
          const { payout, deliveries } = await insertPayout(tx, cipher, values, new Date())
          return { body: toPayout(payout), start: payoutStart(payout, deliveries) }
        },
      })
    })
    .openapi(cancel, (c) => runCommand(c, { kind: 'cancel' }))
    .openapi(complete, (c) => runCommand(c, { kind: 'complete' }))
    .openapi(fail, (c) => runCommand(c, { kind: 'fail' }))
    .openapi(retrieve, retrieveHandler(db, getPayout, toPayout))
    .openapi(list, (c) => answerList(c, c.req.valid('query')))
}
