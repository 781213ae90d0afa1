import assert from 'node:assert/strict'
import { createPost } from '../../activities/webhooks/outbound.ts'
import type { WebhookDeps } from '../../activities/webhooks/post-webhook.ts'
import type { Delivery } from '../../core/webhooks/delivery.ts'
import { defaultRetrySchedule } from '../../core/webhooks/retry-schedule.ts'
import { newWebhookSecret } from '../../core/webhooks/signature.ts'
import type { Db } from '../../db/client.ts'
import { newId } from '../../db/ids.ts'
import { type EndpointRow, insertEndpoint, secretContext } from '../../db/webhooks/endpoints.ts'
import { insertEvent } from '../../db/webhooks/events.ts'
import { testCipher } from '../support/cipher.ts'
import { addMerchant } from '../support/db.ts'

export const testPost = createPost({
  allowHttp: true,
  allowPrivateNetworks: true,
  timeoutMs: 2_000,
})

/** Returns the dependencies of the webhook activities. The default clock is the real one. */
export function webhookDeps(db: Db, overrides: Partial<WebhookDeps> = {}): WebhookDeps {
  return {
    db,
    cipher: testCipher,
    post: testPost,
    now: () => new Date(),
    retrySchedule: defaultRetrySchedule,
    ...overrides,
  }
}

type NewEndpoint = { merchantId: string; url: string } & Partial<
  Pick<EndpointRow, 'eventTypes' | 'retrySchedule'>
>

/** Adds an endpoint. Returns its id and the secret that its server verifies with. */
export async function addEndpoint(db: Db, values: NewEndpoint) {
  const id = newId('endpoint')
  const secret = newWebhookSecret()
  const rest = { description: null, eventTypes: null, retrySchedule: null, ...values }
  const encrypted = testCipher.encrypt(secret, secretContext(id))
  await db.transaction((tx) => insertEndpoint(tx, { id, secret: encrypted, ...rest }, new Date()))
  return { id, secret }
}

/**
 * Adds a merchant with one endpoint and one event. Returns the delivery and the endpoint's secret.
 */
export async function addDelivery(
  db: Db,
  endpoint: Omit<NewEndpoint, 'merchantId'>,
): Promise<Delivery & { secret: string }> {
  const { id: merchantId } = await addMerchant(db)
  const { secret } = await addEndpoint(db, { merchantId, ...endpoint })
  const object = { id: newId('payment'), object: 'payment' }
  const event = { type: 'payment.succeeded' as const, merchantId, object }
  const { deliveries } = await db.transaction((tx) => insertEvent(tx, event, new Date()))
  const [delivery] = deliveries
  assert(delivery)
  return { ...delivery, secret }
}
