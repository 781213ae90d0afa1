import { z } from '@hono/zod-openapi'
import { payoutLifecycle } from '../../core/lifecycles/payout.ts'
import {
  findAccountNumberProblem,
  findBankCodeProblem,
  withoutIbanLabel,
  withoutSeparators,
} from '../../core/money/bank-account.ts'
import {
  getPayout,
  insertPayout,
  listPayouts,
  openPayoutCommand,
  toPayout,
} from '../../db/payouts/payouts.ts'
import { DEFAULT_PROVIDER } from '../../providers/index.ts'
import { payoutStart } from '../../temporal/starts.ts'
import { commandRoute, commandsOf } from '../http/commands.ts'
import {
  Amount,
  Currency,
  Metadata,
  Text,
  Timestamp,
  toListBody,
  toPage,
  Vpa,
} from '../http/fields.ts'
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

const MaskedDestination = z.discriminatedUnion('type', [
  z.object({ type: z.literal('vpa'), vpa: z.string().openapi({ example: 'se***@upi' }) }),
  z.object({
    type: z.literal('bank_account'),
    account_number: z.string().openapi({ example: '***6789' }),
    bank_code: z.string(),
    holder_name: z.string().openapi({ example: 'A*** R***' }),
  }),
])

export const Payout = z
  .object({
    id: z.string().openapi({ example: 'po_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('payout'),
    status: z.enum(payoutLifecycle.statuses),
    amount: Amount,
    currency: z.string().openapi({ example: 'INR' }),
    destination: MaskedDestination.openapi({ description: 'Masked' }),
    failure_code: z.enum(payoutLifecycle.failureCodes).nullable(),
    needs_attention: z.boolean().openapi({
      description:
        "An operator has to look into it, such as where the provider doesn't say what became of it",
    }),
    description: z.string().nullable(),
    metadata: Metadata,
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .openapi('Payout')

/** A pattern for `count` letters and digits, with spaces and hyphens anywhere among them. */
function patternOf(count: string): string {
  return `^[ -]*([A-Za-z0-9][ -]*)${count}$`
}

const Destination = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('vpa'),
    vpa: Vpa.openapi({ example: 'seller@upi' }),
  }),
  z.strictObject({
    type: z.literal('bank_account'),
    account_number: z
      .string()
      .transform((number) => withoutIbanLabel(withoutSeparators(number)))
      .refine(
        (number) => /^[A-Za-z0-9]{6,34}$/.test(number),
        'Send an account number or IBAN of 6 to 34 letters and digits. Spaces and hyphens are ignored.',
      )
      .transform((number) => number.toUpperCase())
      .superRefine((number, context) => {
        const problem = findAccountNumberProblem(number)
        if (problem) context.addIssue(problem)
      })
      .openapi({ type: 'string', pattern: patternOf('{6,38}'), example: '000123456789' }),
    bank_code: z
      .string()
      .transform(withoutSeparators)
      .refine(
        (code) => /^[A-Za-z0-9]{4,11}$/.test(code),
        'Send an IFSC, BIC, routing number or sort code of 4 to 11 letters and digits. Spaces and hyphens are ignored.',
      )
      .transform((code) => code.toUpperCase())
      .openapi({
        type: 'string',
        pattern: patternOf('{4,11}'),
        description: 'An IFSC, BIC, routing number, sort code or another national code',
        example: 'HDFC0000123',
      }),
    holder_name: z
      .string()
      .trim()
      .normalize('NFC')
      .min(1)
      .max(140)
      .regex(/^\P{Cc}*$/u, 'The name must not have control characters.')
      .openapi({ type: 'string', example: 'Asha Rao' }),
  }),
])

const CreatePayout = z
  .strictObject({
    amount: Amount,
    currency: Currency,
    destination: Destination,
    description: Text.optional(),
    metadata: Metadata.default({}),
  })
  .superRefine(({ currency, destination }, context) => {
    if (destination.type !== 'bank_account') return
    const message = findBankCodeProblem(destination.bank_code, currency)
    const path = ['destination', 'bank_code']
    if (message) context.addIssue({ code: 'custom', path, message })
  })
  .openapi('CreatePayout', {
    example: {
      amount: 20000,
      currency: 'INR',
      destination: { type: 'vpa', vpa: 'seller@upi' },
    },
  })

const createPayout = merchantRoute(
  {
    method: 'post',
    path: '/payouts',
    operationId: 'createPayout',
    description: 'Its amount is held of your balance until it has arrived.',
    request: { headers: idempotencyKey, body: { required: true, ...json(CreatePayout) } },
    responses: { 201: json(Payout, 'The payout, pending: its workflow submits it') },
  },
  ['insufficient_balance'],
)

const Nothing = z.strictObject({})

const cancelPayout = commandRoute(
  { path: '/payouts/{id}/cancel', operationId: 'cancelPayout' },
  { input: Nothing.openapi('CancelPayout'), output: Payout },
  ['conflict'],
)
const completePayout = commandRoute(
  {
    path: '/test/payouts/{id}/complete',
    operationId: 'completeTestPayout',
    description: 'Tells the sandbox that a payout, pending or processing, has arrived.',
  },
  { input: Nothing.openapi('CompleteTestPayout'), output: Payout },
  ['conflict'],
)
const failPayout = commandRoute(
  {
    path: '/test/payouts/{id}/fail',
    operationId: 'failTestPayout',
    description:
      'Tells the sandbox that a payout, pending or processing, has failed, or that a completed one has been returned.',
  },
  { input: Nothing.openapi('FailTestPayout'), output: Payout },
  ['conflict'],
)

const retrievePayout = retrieveRoute('/payouts/{id}', 'retrievePayout', Payout)

const listPayoutsRoute = listRoute('/payouts', 'listPayouts', Payout, {
  status: z.enum(payoutLifecycle.statuses).optional(),
})

export function payoutRoutes(deps: Deps) {
  const { db, cipher } = deps
  const command = commandsOf(deps, {
    open: openPayoutCommand,
    get: getPayout,
    show: toPayout,
    start: payoutStart,
  })
  return newRouter()
    .openapi(createPayout, async (c) => {
      const { merchantId } = c.var.caller
      const { description = null, ...input } = c.req.valid('json')
      const values = { merchantId, provider: DEFAULT_PROVIDER, description, ...input }
      const body = await createOnce(c, deps, c.req.valid('json'), {
        write: async (tx) => {
          const { payout, deliveries } = await insertPayout(tx, cipher, values, new Date())
          return { body: toPayout(payout), start: payoutStart(payout, deliveries) }
        },
      })
      return c.json(body, 201)
    })
    .openapi(cancelPayout, async (c) => {
      const { status, body } = await command(c, { kind: 'cancel' })
      return c.json(body, status)
    })
    .openapi(completePayout, async (c) => {
      const { status, body } = await command(c, { kind: 'complete' })
      return c.json(body, status)
    })
    .openapi(failPayout, async (c) => {
      const { status, body } = await command(c, { kind: 'fail' })
      return c.json(body, status)
    })
    .openapi(retrievePayout, async (c) => {
      const { id } = c.req.valid('param')
      return c.json(toPayout(await getPayout(db, c.var.caller.merchantId, id)), 200)
    })
    .openapi(listPayoutsRoute, async (c) => {
      const { status, ...query } = c.req.valid('query')
      const list = await listPayouts(db, c.var.caller.merchantId, { ...toPage(query), status })
      return c.json(toListBody(list, toPayout), 200)
    })
}
