import { z } from '@hono/zod-openapi'
import type { Hono } from 'hono'
import { AppError } from '../core/errors.ts'
import { issueMessage } from '../core/issue-message.ts'
import { accountRoutes } from './account.ts'
import { apiKeyRoutes } from './api-keys.ts'
import { authenticate } from './auth.ts'
import { balanceRoutes } from './balance.ts'
import { docsRoutes } from './docs.tsx'
import { handleError } from './errors.ts'
import { eventTypeRoutes } from './event-types.ts'
import { eventRoutes } from './events.ts'
import { healthRoutes } from './health.ts'
import { inboundEventPaths, inboundEventRoutes } from './inbound-events.ts'
import { checkInput, limitBody } from './input.ts'
import { invoiceRoutes } from './invoices.ts'
import { jobsStatusRoutes } from './jobs-status.ts'
import { describeApi } from './openapi.ts'
import { orderRoutes } from './orders.ts'
import { payRoutes } from './pay.ts'
import { paymentLinkRoutes } from './payment-links.ts'
import { paymentRoutes } from './payments.ts'
import { payoutRoutes } from './payouts.ts'
import { limitRate } from './rate-limit.ts'
import { receiverRoutes } from './receiver.tsx'
import { refundRoutes } from './refunds.ts'
import { logRequests } from './request-log.ts'
import { type Deps, type Env, newRouter } from './router.ts'
import { refuseRepeatedHeaders } from './single-headers.ts'
import { testEventRoutes } from './test-events.ts'
import { webhookDeliveryRoutes } from './webhook-deliveries.ts'
import { webhookEndpointRoutes } from './webhook-endpoints.ts'

type Options = {
  receiverSecret?: string | undefined // of the built-in receiver's endpoint; without one there is none
  stopping?: AbortSignal // aborted once this process is told to stop
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

/** The error lists the methods that the path takes, or the path without the slash at its end. */
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
