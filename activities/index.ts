import { paymentActivities } from './payments.ts'
import { sweepActivities } from './sweep.ts'
import { type WebhookDeps, webhookActivities } from './webhooks.ts'

type Deps = Parameters<typeof paymentActivities>[0] & WebhookDeps

export function createActivities(deps: Deps) {
  return { ...paymentActivities(deps), ...webhookActivities(deps), ...sweepActivities(deps) }
}

export type Activities = ReturnType<typeof createActivities>
