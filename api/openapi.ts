import type { OpenAPIHono } from '@hono/zod-openapi'
import { errorExamples, headerComponents } from './http/error-responses.ts'
import { type Env, json } from './http/router.ts'
import { addLinks } from './openapi-links.ts'
import { withIntegerFormats, withNamedEventTypes, withPlainBooleans } from './openapi-schemas.ts'
import { eventResources } from './routes/event-examples.ts'
import { Event } from './routes/events.ts'

const description = `
Take payments by UPI and card, and learn about each change from a signed webhook.

**Authenticate** with the secret alone, as \`Authorization: Bearer <secret>\`, or with both \`X-Api-Key\`
and \`X-Api-Secret\`. Every credential that you send must be right. To try the operations on this page, press
*Authorize* and enter the secret. A key without its secret is publishable and is refused here (403).

**Amounts** are integers in minor units of their currency: \`50000\` INR is ₹500.00. **Times** are
ISO 8601 in UTC. A request with an unknown field is refused, and the error names the field.

**Idempotency**: each POST that creates something takes an \`Idempotency-Key\` of up to 255 characters.
For 24 hours the same request gets the first answer again, with \`Idempotent-Replayed: true\`. The same key
with another body is refused (422), and so is a second request while the first is being handled (409).
A refused request leaves its key free. So after a timeout or a 503, send the same request again. The order
of its fields and of \`event_types\`, and the offset of a time, may differ. Send the header once: a
second header, or a value with white space after a comma, is refused (400).

**Lists** are newest first: \`{"object": "list", "data": [], "has_more": false}\`. \`limit\` is 1 to 100
(default 20). For the next page, pass the last id of this page as \`starting_after\`.

**Errors** all have one shape, \`{"error": {"type", "code", "message", "param", "request_id"}}\`. Decide by
\`code\`: each operation lists the codes that it can answer with. A path that does not take a method answers
405, and the header \`Allow\` lists the methods that it takes. A request that cannot be read gets 400, 408, 417
or 431 in the same shape. \`request_id\` is also the header \`Request-Id\` of every response.

**Your own names** (an order's \`reference\`, an inbound event's \`event_id\`) are compared as Unicode NFC:
two names that differ only in how Unicode encodes the same characters are one name. A name must not begin
or end with white space or an invisible character.

**In the sandbox** the input decides the result. The card 4242424242424242 and every \`…@upi\` address that is
not listed here succeed. \`fail@upi\` and 4000000000000002 are declined, and 4000000000009995 has insufficient
funds. The answer about \`timeout@upi\` is lost: the payment takes longer, and is charged once. The provider
answers 503 twice for \`down@upi\` and then works, and never decides about \`stuck@upi\`. Refunds to
\`norefund@upi\` fail, and refunds to the card 4000000000005126 come back. Payouts to \`fail@upi\` and to the
accounts 000111111116 and 000111111113 fail, and payouts to \`returned@upi\` come back. Payouts to \`stuck@upi\`
stay \`processing\` until you complete or fail them with a test operation.

**Rate**: a key may make 100 requests a second unless this server is configured otherwise. Above that, the
answer is 429 with \`Retry-After\`.
`.trim()

const tags = [
  { name: 'Payments', description: 'Money from a payer, by UPI or card.' },
  { name: 'Refunds', description: 'Money of a payment that goes back to the payer.' },
  { name: 'Payouts', description: 'Money that goes out, to a UPI address or a bank account.' },
  { name: 'Balance', description: 'What is available, what is held, and what you owe.' },
  {
    name: 'Balance transactions',
    description: 'Each change of the balance, with its ledger postings.',
  },
  {
    name: 'Orders',
    description:
      'What a payment is for. An order is paid once, and then fulfilled by you or refunded.',
  },
  { name: 'Payment links', description: 'A link that anybody can pay at, once.' },
  { name: 'Invoices', description: 'What you have billed, and how much of it is paid.' },
  {
    name: 'Inbound events',
    description: 'Payments for an invoice that your bank or another system reports.',
  },
  {
    name: 'Events',
    description: 'What happened. Each event has its resource as it was at that time.',
  },
  {
    name: 'Event types',
    description: 'The catalog of events, with a schema and an example of each.',
  },
  { name: 'Webhook endpoints', description: 'The URLs that events are sent to.' },
  {
    name: 'Webhook deliveries',
    description: 'The delivery of an event to an endpoint, attempt by attempt.',
  },
  { name: 'Account', description: 'The merchant that the key belongs to.' },
  { name: 'API keys', description: 'The keys and secrets that authenticate a merchant.' },
  { name: 'Test', description: 'Operations for trying out an integration.' },
]

const securitySchemes = {
  bearer: { type: 'http', scheme: 'bearer', description: 'The secret alone, without its key' },
  apiKey: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Api-Key',
    description: 'The publishable half of a pair. Send it together with X-Api-Secret',
  },
  apiSecret: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Api-Secret',
    description: 'The secret half of a pair. Send it together with X-Api-Key',
  },
} as const

/** Serves `/openapi.json`, which is generated from the schemas that the routes validate with. */
export function describeApi(app: OpenAPIHono<Env>): void {
  const registry = app.openAPIRegistry
  for (const [name, scheme] of Object.entries(securitySchemes))
    registry.registerComponent('securitySchemes', name, scheme)
  for (const [name, meaning] of Object.entries(headerComponents)) {
    const header = { description: meaning, schema: { type: 'string' as const } }
    registry.registerComponent('headers', name, header)
  }
  for (const [code, example] of errorExamples) registry.registerComponent('examples', code, example)
  registry.registerWebhook({
    method: 'post',
    path: 'event',
    operationId: 'receiveEvent',
    summary: 'An event, sent to your endpoint',
    description:
      'Answer with any 2xx within 10 seconds; any other answer is retried. `webhook-id` is the id of the event, and is the same in every attempt: remember the ids that you have handled. Verify one of the two signatures before you parse the body. `webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`, with the bytes that follow `whsec_` in base64 as its key (Standard Webhooks). `x-webhook-signature` is the hex of HMAC-SHA256 over the body, with the whole secret as its key.',
    parameters: webhookHeaders.map((name) => ({
      name,
      in: 'header',
      required: true,
      schema: { type: 'string' },
    })),
    request: { body: { required: true, ...json(Event.omit({ object: true })) } },
    responses: { '2XX': { description: 'The event is delivered' } },
  })
  let document: ReturnType<typeof generate> | undefined
  app.get('/openapi.json', (c) => {
    document ??= generate(app)
    return c.json(document)
  })
}

function generate(app: OpenAPIHono<Env>) {
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: { title: 'Remit', version: '1', description },
    servers: [{ url: '/', description: 'This server' }],
    tags,
  })
  const { payment, refund, payout, order, payment_link, invoice, account, webhook_endpoint } =
    eventResources
  const examples = {
    Payment: payment.examples.created,
    Refund: refund.examples.created,
    Payout: payout.examples.created,
    Order: order.examples.created,
    PaymentLink: payment_link.examples.created,
    Invoice: invoice.examples.created,
    Account: account.examples.updated,
    WebhookEndpoint: webhook_endpoint.examples.disabled,
  }
  for (const [name, example] of Object.entries(examples))
    Object.assign(document.components?.schemas?.[name] ?? {}, { example })
  const finished = withIntegerFormats(withNamedEventTypes(withPlainBooleans(document)))
  addLinks(finished)
  return finished
}

const webhookHeaders = [
  'webhook-id',
  'webhook-timestamp',
  'webhook-signature',
  'x-webhook-signature',
]
