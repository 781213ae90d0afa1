import { createHmac, randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'

export function newWebhookSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}

type Signed = { eventId: string; body: string; secret: string; sentAt: Date }

/**
 * Returns the headers that prove that Remit sent a webhook. `webhook-signature` follows Standard
 * Webhooks (github.com/standard-webhooks/standard-webhooks, spec 1.0). `x-webhook-signature` signs
 * the body alone, with the whole secret string as the key.
 */
export function signatureHeaders({ eventId, body, secret, sentAt }: Signed) {
  return {
    'webhook-id': eventId,
    'webhook-timestamp': Math.floor(sentAt.getTime() / 1000).toString(),
    'webhook-signature': new Webhook(secret).sign(eventId, sentAt, body),
    'x-webhook-signature': createHmac('sha256', secret).update(body).digest('hex'),
  }
}
