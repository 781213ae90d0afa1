import { z } from '@hono/zod-openapi'
import type { Hono } from 'hono'
import { AppError } from '../core/errors.ts'
import { issueMessage } from '../core/issue-message.ts'
import { jobsStatusRoutes } from './dev/jobs-status.ts'
import { receiverRoutes } from './dev/receiver.tsx'
import { testEventRoutes } from './dev/test-events.ts'
import { authenticate } from './http/auth.ts'
import { handleError } from './http/errors.ts'
import { checkInput, limitBody } from './http/input.ts'
import { limitRate } from './http/rate-limit.ts'
import { logRequests } from './http/request-log.ts'
import { type Deps, type Env, newRouter } from './http/router.ts'
import { refuseRepeatedHeaders } from './http/single-headers.ts'
import { describeApi } from './openapi.ts'
import { accountRoutes } from './routes/account.ts'
import { apiKeyRoutes } from './routes/api-keys.ts'
import { balanceRoutes } from './routes/balance.ts'
import { docsRoutes } from './routes/docs.tsx'
import { eventTypeRoutes } from './routes/event-types.ts'
import { eventRoutes } from './routes/events.ts'
import { healthRoutes } from './routes/health.ts'
import { inboundEventPaths, inboundEventRoutes } from './routes/inbound-events.ts'
import { invoiceRoutes } from './routes/invoices.ts'
import { orderRoutes } from './routes/orders.ts'
import { payRoutes } from './routes/pay.ts'
import { paymentLinkRoutes } from './routes/payment-links.ts'
import { paymentRoutes } from './routes/payments.ts'
import { payoutRoutes } from './routes/payouts.ts'
import { refundRoutes } from './routes/refunds.ts'
import { webhookDeliveryRoutes } from './routes/webhook-deliveries.ts'
import { webhookEndpointRoutes } from './routes/webhook-endpoints.ts'

type Options = {
  receiverSecret?: string | undefined // signs the built-in receiver's webhooks; unset: no receiver
  stopping?: AbortSignal // aborted when this process gets a signal to stop
}

export function createApp(deps: Deps & Options) {
  z.config({ customError: issueMessage })
  const app = newRouter()
  app.onError(handleError)
  app.use(logRequests(deps.log))
  app.use(refuseRepeatedHeaders)
  app.use(limitBody)
  app.route('/', healthRoutes(deps))
  app.route('/docs', docsRoutes())
  if (deps.receiverSecret) app.route('/dev/receiver', receiverRoutes(deps.receiverSecret))

  app.use('/pay/*', checkInput)
  app.route('/', payRoutes(deps))

  const rate = limitRate(deps.rateLimitPerSecond)
  for (const path of ['/api/v1/*', ...inboundEventPaths])
    app.use(path, authenticate(deps.db), rate, checkInput)
  app.route('/api/v1', paymentRoutes(deps))
  app.route('/api/v1', refundRoutes(deps))
  app.route('/api/v1', payoutRoutes(deps))
  app.route('/api/v1', balanceRoutes(deps))
  app.route('/api/v1', orderRoutes(deps))
  app.route('/api/v1', paymentLinkRoutes(deps))
  app.route('/api/v1', invoiceRoutes(deps))
  app.route('/', inboundEventRoutes(deps))
  app.route('/api/v1', eventRoutes(deps))
  app.route('/api/v1', webhookEndpointRoutes(deps))
  app.route('/api/v1', webhookDeliveryRoutes(deps))
  app.route('/api/v1', eventTypeRoutes())
  app.route('/api/v1', accountRoutes(deps))
  app.route('/api/v1', apiKeyRoutes(deps))
  app.route('/api/v1', testEventRoutes(deps))
  app.route('/api/v1', jobsStatusRoutes(deps))
  describeApi(app)
  app.notFound((c) => handleError(refuseRoute(app, c.req.method, c.req.path), c))
  return app
}

/**
 * The error lists the methods that the path takes, or names the path without the slash at its end.
 */
function refuseRoute(app: Hono<Env>, method: string, path: string): AppError {
  const allowed = methodsOf(app, path)
  if (allowed.length === 0) {
    const withoutSlash = path.replace(/\/+$/, '')
    const hasRoute = methodsOf(app, withoutSlash).length > 0
    const hint = hasRoute ? `. Remove the slash at the end of the path: ${withoutSlash}` : ''
    return new AppError('not_found', `No such route: ${method} ${path}${hint}`)
  }
  const withHead = allowed.flatMap((each) => (each === 'GET' ? ['GET', 'HEAD'] : [each]))
  const headers = { Allow: [...new Set(withHead)].join(', ') }
  return new AppError('method_not_allowed', `${path} does not take ${method}.`, { headers })
}

function methodsOf(app: Hono<Env>, path: string): string[] {
  return app.routes
    .filter((route) => route.method !== 'ALL' && matches(route.path, path))
    .map((route) => route.method)
}

function matches(pattern: string, path: string): boolean {
  const parts = pattern.split('/')
  const given = path.split('/')
  return (
    parts.length === given.length &&
    parts.every((part, i) => part === given[i] || (part.startsWith(':') && given[i] !== ''))
  )
}
