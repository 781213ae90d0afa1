import { createRoute, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import { AppError, type ErrorCode } from '../../core/errors.ts'
import { findLastPaymentOf, insertLinkPayment } from '../../db/payment-links/pay.ts'
import { checkActive, getPublicLink } from '../../db/payment-links/payment-links.ts'
import { askToCancel } from '../../db/payments/commands.ts'
import { findPaymentOf, toPayment } from '../../db/payments/payments.ts'
import { commandUpdate, paymentStart } from '../../temporal/starts.ts'
import { errorResponses, responseHeaders } from '../http/error-responses.ts'
import { createOnce } from '../http/idempotency.ts'
import { limitRate } from '../http/rate-limit.ts'
import { type Deps, type Env, idempotencyKey, idParam, json, newRouter } from '../http/router.ts'
import { checkSource, exchangeCard, sourceFields, toSource } from './payment-source.ts'
import { Payment } from './payments.ts'
import { PublicPaymentLink, toPublicLink } from './public-payment-link.ts'

/** If a payment stays open for longer than this, the next payer at the link cancels it. */
const UNDECIDED_MAX_MS = 15 * 60_000

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
const payPage = { tags: ['Payment links'], security: [], path: '/pay/{id}' as const }

const show = createRoute({
  ...payPage,
  method: 'get',
  operationId: 'showPaymentLink',
  summary: 'Show payment link to a payer',
  description: 'Needs no key: anybody who has the link can see it.',
  request: { params: idParam, query: z.strictObject({}) },
  responses: {
    200: { ...json(PublicPaymentLink, 'The payment link'), headers: responseHeaders() },
    ...errorResponses(errors),
  },
})

const pay = createRoute({
  ...payPage,
  method: 'post',
  operationId: 'payPaymentLink',
  summary: 'Pay payment link',
  description:
    'Needs no key: anybody who has the link can pay it. A link is paid once, and has one payment at a time: a second payer is refused and not charged. The payment has status `pending`; retrieve the link for its outcome. A payment that is undecided for 15 minutes is canceled for the next payer.',
  request: {
    params: idParam,
    query: z.strictObject({}),
    headers: idempotencyKey,
    body: { required: true, ...json(PayLink) },
  },
  responses: {
    200: {
      ...json(Payment, 'The payment, with status `pending`. Its workflow charges it'),
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

/**
 * Returns the routes of payers, who have no key. A merchant's payers share one rate limit, so that
 * nobody can try out cards.
 */
export function payRoutes(deps: Deps) {
  const { db, providers, rateLimitPerSecond, tryUpdate } = deps
  const router = newRouter()
  router.on(['GET', 'POST'], '/pay/:id', forMerchant(deps), limitRate(rateLimitPerSecond))
  return router
    .openapi(show, async (c) => {
      const { link, merchantName } = await getPublicLink(db, c.req.valid('param').id)
      const lastPayment = await findLastPaymentOf(db, link.id)
      return c.json(toPublicLink(link, merchantName, lastPayment), 200)
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

  function payOnce(c: Context<Env>, id: string, input: z.output<typeof PayLink>) {
    const { card } = input
    async function exchange() {
      if (!card) return
      checkActive((await getPublicLink(db, id)).link, new Date())
      return exchangeCard(providers, card)
    }
    return createOnce(c, deps, input, {
      prepare: card && exchange,
      write: async (tx, token) => {
        const source = toSource(input, token)
        const { payment, deliveries } = await insertLinkPayment(tx, id, source, new Date())
        return { body: toPayment(payment), start: paymentStart(payment, deliveries) }
      },
    })
  }

  /**
   * A payer who gave a wrong address must not block the link for a week. Returns true
   * after sending a command to cancel the open payment. The provider's verdict decides whether the
   * payment is canceled.
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

/** A payer has no key, so each request of a payer counts for the merchant of the link. */
function forMerchant({ db }: Deps) {
  return createMiddleware<Env>(async (c, next) => {
    const { link } = await getPublicLink(db, c.req.param('id') ?? '')
    c.set('caller', { merchantId: link.merchantId, keyId: `payers of ${link.merchantId}` })
    await next()
  })
}
