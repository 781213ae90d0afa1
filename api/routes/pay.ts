import { createRoute, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import { AppError, type ErrorCode } from '../../core/errors.ts'
import { paymentLifecycle } from '../../core/lifecycles/payment.ts'
import { linkLifecycle } from '../../core/lifecycles/payment-link.ts'
import { findLastPaymentOf, insertLinkPayment } from '../../db/payment-links/pay.ts'
import { checkActive, getPublicLink, isExpired } from '../../db/payment-links/payment-links.ts'
import { askToCancel } from '../../db/payments/commands.ts'
import { findPaymentOf, toPayment } from '../../db/payments/payments.ts'
import { commandUpdate, paymentStart } from '../../temporal/starts.ts'
import { errorResponses, responseHeaders } from '../http/error-responses.ts'
import { Amount, Timestamp } from '../http/fields.ts'
import { createOnce } from '../http/idempotency.ts'
import { limitRate } from '../http/rate-limit.ts'
import { type Deps, type Env, idempotencyKey, idParam, json, newRouter } from '../http/router.ts'
import { checkSource, exchangeCard, sourceFields, toSource } from './payment-source.ts'
import { Payment } from './payments.ts'

/** One that is open for longer is canceled as soon as somebody else wants to pay. */
const UNDECIDED_MAX_MS = 15 * 60_000

const PublicPaymentLink = z
  .object({
    id: z.string().openapi({ example: 'plink_01jzxd4f7ve7q9w4d4pmx6k5hr' }),
    object: z.literal('payment_link'),
    status: z.enum(linkLifecycle.statuses),
    amount: Amount,
    currency: z.string().openapi({ example: 'INR' }),
    url: z.string(),
    description: z.string().nullable(),
    expires_at: Timestamp.nullable(),
    merchant: z.object({ name: z.string() }),
    last_payment: z
      .object({
        id: z.string(),
        status: z.enum(paymentLifecycle.statuses),
        failure_message: z.string().nullable(),
      })
      .nullable()
      .openapi({ description: 'The one that was tried last' }),
  })
  .openapi('PublicPaymentLink')

const PayLink = z
  .strictObject(sourceFields)
  .superRefine(checkSource)
  .openapi('PayPaymentLink', { example: { method: 'upi', vpa: 'test@upi' } })

const errors: ErrorCode[] = [
  'invalid_request',
  'not_found',
  'rate_limited',
  'internal',
  'unavailable',
]
const open = { tags: ['Payment links'], security: [] }

const show = createRoute({
  ...open,
  method: 'get',
  path: '/pay/{id}',
  operationId: 'showPaymentLink',
  summary: 'Show payment link to a payer',
  description: 'Needs no key: whoever has the link may see it.',
  request: { params: idParam, query: z.strictObject({}) },
  responses: {
    200: { ...json(PublicPaymentLink, 'The link'), headers: responseHeaders() },
    ...errorResponses(errors),
  },
})

const pay = createRoute({
  ...open,
  method: 'post',
  path: '/pay/{id}',
  operationId: 'payPaymentLink',
  summary: 'Pay payment link',
  description:
    'Needs no key: whoever has the link may pay it. One at a time, and once: whoever comes second is refused, and not charged. The payment is pending; what became of it is shown by the link. One that is undecided for 15 minutes gives way to the next.',
  request: {
    params: idParam,
    query: z.strictObject({}),
    headers: idempotencyKey,
    body: { required: true, ...json(PayLink) },
  },
  responses: {
    200: {
      ...json(Payment, 'The payment, pending: its workflow charges it'),
      headers: responseHeaders('Idempotent-Replayed'),
    },
    ...errorResponses([
      ...errors,
      'body_too_large',
      'unsupported_media_type',
      'idempotency_key_in_use',
      'idempotency_key_reused',
      'payment_link_not_active',
      'payment_link_payment_in_progress',
    ]),
  },
})

/** What needs no key: paying at a link. Its merchant's payers share a rate, so that none is tried out. */
export function payRoutes(deps: Deps) {
  const { db, providers, rateLimitPerSecond, tryUpdate } = deps
  const router = newRouter()
  router.on(['GET', 'POST'], '/pay/:id', forMerchant(deps), limitRate(rateLimitPerSecond))
  return router
    .openapi(show, async (c) => {
      const { link, merchantName } = await getPublicLink(db, c.req.valid('param').id)
      const { id, status, amount, currency, url, description, expiresAt } = link
      const last = await findLastPaymentOf(db, id)
      const tried = last && toPayment(last)
      const isOpen = tried?.status === 'pending' || tried?.status === 'authorized'
      const isOver = status === 'active' && !isOpen && isExpired(link, new Date())
      return c.json(
        {
          id,
          object: 'payment_link' as const,
          amount,
          currency,
          url,
          description,
          status: isOver ? ('expired' as const) : status, // its workflow is about to say so
          expires_at: expiresAt?.toISOString() ?? null,
          merchant: { name: merchantName },
          last_payment: tried
            ? { id: tried.id, status: tried.status, failure_message: tried.failure_message }
            : null,
        },
        200,
      )
    })
    .openapi(pay, async (c) => {
      const { id } = c.req.valid('param')
      const pay = () => payOnce(c, id, c.req.valid('json'))
      const body = await pay().catch(async (error) => {
        if (isInProgress(error) && (await giveWay(id))) return pay()
        throw error
      })
      return c.json(body, 200)
    })

  function payOnce(c: Context<Env>, id: string, { card, ...input }: z.output<typeof PayLink>) {
    async function exchange() {
      if (!card) return
      checkActive((await getPublicLink(db, id)).link, new Date())
      return exchangeCard(providers, card)
    }
    return createOnce(
      c,
      deps,
      { card, ...input },
      {
        prepare: card && exchange,
        write: async (tx, token) => {
          const source = toSource(input, token)
          const { payment, deliveries } = await insertLinkPayment(tx, id, source, new Date())
          return { body: toPayment(payment), start: paymentStart(payment, deliveries) }
        },
      },
    )
  }

  /**
   * A payer who gave a wrong address must not keep the link from all others for a week. True where the
   * open payment was told to cancel; its provider's last word decides.
   */
  async function giveWay(linkId: string): Promise<boolean> {
    const payment = await findPaymentOf(db, linkId)
    const now = new Date()
    if (!payment || now.getTime() - payment.createdAt.getTime() < UNDECIDED_MAX_MS) return false
    const command = await askToCancel(db, payment, now)
    if (command) await tryUpdate(paymentStart(payment, []), commandUpdate(command))
    return command !== null
  }
}

function isInProgress(error: unknown): boolean {
  return error instanceof AppError && error.code === 'payment_link_payment_in_progress'
}

/** A payer has no key: what they do counts for the merchant whose link it is. */
function forMerchant({ db }: Deps) {
  return createMiddleware<Env>(async (c, next) => {
    const { link } = await getPublicLink(db, c.req.param('id') ?? '')
    c.set('caller', { merchantId: link.merchantId, keyId: `payers of ${link.merchantId}` })
    await next()
  })
}
