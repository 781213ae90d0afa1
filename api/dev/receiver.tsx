import { createHmac } from 'node:crypto'
import type { StatusCode } from 'hono/utils/http-status'
import { Webhook } from 'standardwebhooks'
import { equalsInConstantTime } from '../../core/secrets.ts'
import { newRouter } from '../http/router.ts'
import { type Received, ReceiverPage } from '../pages/receiver.tsx'

const KEPT = 50

/**
 * Plays a merchant's server for development: verifies both signatures of each webhook, and shows
 * the last webhooks. `POST …/503` (or any other status) answers with that status, to show retries.
 */
export function receiverRoutes(secret: string) {
  const received: Received[] = []
  const webhook = new Webhook(secret)

  /**
   * Both signatures are over the bytes of the body, so nothing decodes the body before `receive`.
   */
  function receive(headers: Headers, bytes: Buffer): boolean {
    const expected = createHmac('sha256', secret).update(bytes).digest('hex')
    const hmac = equalsInConstantTime(headers.get('x-webhook-signature') ?? '', expected)
    const standard = verifies(() => webhook.verify(bytes, Object.fromEntries(headers)))
    const [id, body] = [headers.get('webhook-id') ?? '', bytes.toString()]
    received.unshift({ at: new Date(), id, body, standard, hmac })
    received.length = Math.min(received.length, KEPT)
    return standard && hmac
  }

  return newRouter()
    .get('/', (c) => {
      c.header('Content-Security-Policy', "default-src 'none'; style-src 'self'")
      return c.html(<ReceiverPage received={received} opened={c.req.query('event')} />)
    })
    .get('/style.css', (c) => c.body(STYLE, 200, { 'Content-Type': 'text/css' }))
    .get('/webhooks', (c) => c.json(received))
    .post('/', async (c) => {
      const verified = receive(c.req.raw.headers, Buffer.from(await c.req.arrayBuffer()))
      return c.json({ verified }, verified ? 200 : 400)
    })
    .post('/:status{[2-5][0-9][0-9]}', (c) =>
      c.body(null, Number(c.req.param('status')) as StatusCode),
    )
}

function verifies(verify: () => unknown): boolean {
  try {
    verify()
    return true
  } catch {
    return false
  }
}

const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2430 }
table { border-collapse: collapse; width: 100% }
td:nth-child(2) { overflow-wrap: anywhere }
th, td { text-align: left; padding: .5rem .75rem; border-bottom: 1px solid #dde3ea; vertical-align: top }
code, pre { font: 13px/1.5 ui-monospace, monospace }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .5rem 0 0; padding: .75rem; background: #f4f6f9; border-radius: 6px }
@media (max-width: 40rem) { thead { display: none } td { display: block; border: 0 } tr { border-bottom: 1px solid #dde3ea } }
.good { color: #0b7a43 } .bad { color: #b3261e; font-weight: 600 }
`
