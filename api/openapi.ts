import type { OpenAPIHono } from '@hono/zod-openapi'
import { errorExamples, headerComponents } from './http/error-responses.ts'
import { type Env, json } from './http/router.ts'
import { addLinks } from './openapi-links.ts'
import { withIntegerFormats, withNamedEventTypes, withPlainBooleans } from './openapi-schemas.ts'
import { eventResources } from './routes/event-examples.ts'
import { Event } from './routes/events.ts'

const description = `
Take payments by UPI and card, and hear of each change by a signed webhook.

**Authenticate** with the secret alone, as \`Authorization: Bearer <secret>\`, or with both \`X-Api-Key\`
and \`X-Api-Secret\`. Every credential that you send must be right. To try the operations on this page, press *Authorize* and fill in the secret. A key
without its secret is publishable, and opens nothing here (403).

**Amounts** are integers in minor units of their currency: \`50000\` INR is ₹500.00. **Times** are
ISO 8601 in UTC. An unknown field is refused with its name.

**Idempotency**: each POST that creates something takes an \`Idempotency-Key\` of up to 255 characters.
For 24 hours the same request gets the first answer again, with \`Idempotent-Replayed: true\`; another
body with the same key is refused (422), and so is a second request while the first is at work (409).
A refused request leaves its key free. So after a timeout or a 503, send the same request again. The order
of its fields and of \`event_types\`, and the offset of a time, may differ. Send the header once: a
second one, or a value with white space after a comma, is refused (400).

**Lists** are newest first: \`{"object": "list", "data": [], "has_more": false}\`. \`limit\` is 1 to 100
(20). For the next page, \`starting_after\` is the last id of this one.

**Errors** all have one shape, \`{"error": {"type", "code", "message", "param", "request_id"}}\`. Decide by
\`code\`: each operation lists those it can answer with. A path that does not take a method answers 405,
and the header \`Allow\` lists those it takes. A request that cannot be read gets 400, 408, 417 or 431 in the
same shape. \`request_id\` is the header \`Request-Id\` of every response.

**Your own names** (an order's \`reference\`, an inbound event's \`event_id\`) are compared as Unicode NFC:
two names that differ only in how Unicode encodes the same characters are one name. A name must not begin
or end with white space or an invisible character.

**In the sandbox** the input decides: any other \`…@upi\` and the card 4242424242424242 succeed, \`fail@upi\`
and 4000000000000002 are declined, 4000000000009995 lacks funds. At \`timeout@upi\` the answer is lost (it
takes longer, and is charged once), at \`down@upi\` the provider answers 503 twice and then works, and
\`stuck@upi\` never decides by itself. Refunds of \`norefund@upi\` fail, those of the card 4000000000005126
come back. Payouts to \`fail@upi\` and to the accounts 000111111116 and 000111111113 fail, those to
\`returned@upi\` come back, and to \`stuck@upi\` they stay \`processing\` until they are told otherwise.

**Rate**: a key may make 100 requests a second unless this server is set up otherwise. Above that it is
429, with \`Retry-After\`.
`.trim()

const tags = [
  { name: 'Payments', description: 'Money from a payer, by UPI or card.' },
  { name: 'Refunds', description: 'Money of a payment on its way back.' },
  { name: 'Payouts', description: 'Money on its way out: to a UPI address or a bank account.' },
  { name: 'Balance', description: 'What you have, what is on its way, what you owe.' },
  { name: 'Balance transactions', description: 'What changed the balance, and how it was booked.' },
  {
    name: 'Orders',
    description: 'What a payment is for. It is paid once, and fulfilled by you or refunded.',
  },
  { name: 'Payment links', description: 'A page that anybody can pay at. It is paid once.' },
  { name: 'Invoices', description: 'What you have billed, and how much of it has come in.' },
  {
    name: 'Inbound events',
    description: 'Money for an invoice that came in elsewhere, told by whoever has it.',
  },
  { name: 'Events', description: 'What happened, each with its resource as it was then.' },
  { name: 'Event types', description: 'The catalog: what each event looks like.' },
  { name: 'Webhook endpoints', description: 'Where events are sent.' },
  { name: 'Webhook deliveries', description: 'An event on its way to an endpoint, try by try.' },
  { name: 'Account', description: 'Yourself.' },
  { name: 'API keys', description: 'What opens this API.' },
  { name: 'Test', description: 'To try things out.' },
]

const securitySchemes = {
  bearer: { type: 'http', scheme: 'bearer', description: 'The secret alone. It needs no key' },
  apiKey: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Api-Key',
    description: 'The publishable half of a pair. Goes with X-Api-Secret',
  },
  apiSecret: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Api-Secret',
    description: 'The secret half. Goes with X-Api-Key',
  },
} as const

/** `/openapi.json`: what the routes validate and answer, as they say it themselves. */
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
      'Answer with any 2xx within 10 seconds; anything else is tried again. `webhook-id` is the id of the event, and the same each time: keep those that you have handled. Verify one of the two signatures before you parse the body. `webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`, with the bytes that follow `whsec_` in base64 as its key (Standard Webhooks). `x-webhook-signature` is the hex of HMAC-SHA256 over the body, with the whole secret as its key.',
    parameters: webhookHeaders.map((name) => ({
      name,
      in: 'header',
      required: true,
      schema: { type: 'string' },
    })),
    request: { body: { required: true, ...json(Event.omit({ object: true })) } },
    responses: { '2XX': { description: 'It is delivered' } },
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
