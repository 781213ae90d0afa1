import { createHmac, randomBytes } from 'node:crypto'

const PREFIX = 'whsec_'

export function newWebhookSecret(): string {
  return PREFIX + randomBytes(32).toString('base64')
}

type Signed = { eventId: string; body: string; secret: string; sentAt: Date }

/**
 * The headers that prove a webhook is ours. Standard Webhooks
 * (github.com/standard-webhooks/standard-webhooks, spec 1.0) signs `id.timestamp.body` with the
 * secret's decoded bytes; X-Webhook-Signature signs the body alone with the whole secret string.
 */
export function signatureHeaders({ eventId, body, secret, sentAt }: Signed) {
  const timestamp = Math.floor(sentAt.getTime() / 1000).toString()
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64')
  const signature = createHmac('sha256', key).update(`${eventId}.${timestamp}.${body}`)
  return {
    'webhook-id': eventId,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${signature.digest('base64')}`,
    'x-webhook-signature': createHmac('sha256', secret).update(body).digest('hex'),
  }
}
