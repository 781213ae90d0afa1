import { MockActivityEnvironment } from '@temporalio/testing'
import { DefaultLogger } from '@temporalio/worker'
import { createPost } from '../../activities/webhooks/outbound.ts'
import { webhookActivities } from '../../activities/webhooks/post-webhook.ts'
import { ATTEMPT_FAILED } from '../../core/webhooks/delivery.ts'
import type { Db } from '../../db/client.ts'
import { testShop } from '../support/http.ts'
import { webhookDeps } from './delivery.ts'

const ATTEMPT_PATH = '/api/v1/webhook_deliveries'

/** Makes single attempts, without a Temporal server, and shows them as the API does. */
export async function attemptingShop(db: Db, url: string) {
  const shop = await testShop(db)
  const endpoint = (await shop.call('POST', '/api/v1/webhook_endpoints', { url })).body
  const post = createPost({ allowHttp: true, allowPrivateNetworks: true, timeoutMs: 2_000 })
  const { postWebhook } = webhookActivities(webhookDeps(db, { post }))
  const logged: string[] = []
  const logger = new DefaultLogger('INFO', ({ message }) => logged.push(message))
  const ignore = async () => {}
  const client = {
    workflow: { getHandle: () => ({ signal: ignore }), start: ignore },
    withAbortSignal: (_: AbortSignal, run: () => unknown) => run(),
  }

  /** Sends a new event to the endpoint once, and returns the delivery with its attempts. */
  async function attempt() {
    await shop.call('POST', '/api/v1/test/events', { type: 'payment.succeeded' })
    const [{ id }] = (await shop.call('GET', ATTEMPT_PATH)).body.data
    const info = { attempt: 1, workflowExecution: { workflowId: id, runId: 'run' } }
    const env = new MockActivityEnvironment(info, { logger, client: client as never })
    await env.run(postWebhook, id).catch((error) => {
      if (error.type !== ATTEMPT_FAILED) throw error // the row of the attempt says why it failed
    })
    return (await shop.call('GET', `${ATTEMPT_PATH}/${id}`)).body
  }
  const showEndpoint = async () =>
    (await shop.call('GET', `/api/v1/webhook_endpoints/${endpoint.id}`)).body
  return { attempt, showEndpoint, logged, close: post.close }
}
