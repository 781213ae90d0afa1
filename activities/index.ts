import { inboundEventActivities } from './inbound-events.ts'
import { orderActivities } from './orders.ts'
import { payableActivities } from './payables.ts'
import { paymentLinkActivities } from './payment-links.ts'
import { paymentActivities } from './payments.ts'
import { payoutActivities } from './payouts.ts'
import { refundActivities } from './refunds.ts'
import { newsActivities } from './schedules/news.ts'
import { pruneActivities } from './schedules/prune.ts'
import { sweepActivities } from './schedules/sweep.ts'
import { type WebhookDeps, webhookActivities } from './webhooks/post-webhook.ts'

type Deps = Parameters<typeof paymentActivities>[0] &
  Parameters<typeof payoutActivities>[0] &
  WebhookDeps &
  Parameters<typeof sweepActivities>[0] &
  Parameters<typeof pruneActivities>[0]

export function createActivities(deps: Deps) {
  return {
    ...paymentActivities(deps),
    ...refundActivities(deps),
    ...payoutActivities(deps),
    ...payableActivities(deps),
    ...orderActivities(deps),
    ...paymentLinkActivities(deps),
    ...inboundEventActivities(deps),
    ...webhookActivities(deps),
    ...sweepActivities(deps),
    ...newsActivities(deps),
    ...pruneActivities(deps),
  }
}

export type Activities = ReturnType<typeof createActivities>
