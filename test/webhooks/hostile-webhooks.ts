import { once } from 'node:events'
import { connect } from 'node:net'
import { signatureHeaders } from '../../core/webhooks/signature.ts'

/** A header that is sent several times has several values. Each character is sent as one byte. */
type Headers = Record<string, string | string[]>
type Webhook = { headers: Headers; body: string | Buffer }

export const rightBody = (id: string) =>
  JSON.stringify({
    id,
    type: 'payment.succeeded',
    data: { object: { id: `pay_of_${id}`, object: 'payment' } },
  })

export function signed(secret: string, id: string, body = rightBody(id), sentAt = new Date()) {
  return { headers: { ...signatureHeaders({ eventId: id, body, secret, sentAt }) }, body }
}

function bytesOf({ headers, body }: Webhook, framing: string, path: string): Buffer {
  const lines = Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().map((value) => `${name}: ${value}`),
  )
  const head = [`POST ${path} HTTP/1.1`, 'host: x', 'connection: close', framing, ...lines]
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), Buffer.from(body)])
}

/** Posts over a new socket. Resolves to the status, or to null if the server hangs up. */
export async function post(url: string, webhook: Webhook): Promise<number | null> {
  const { port, pathname } = new URL(url)
  const socket = connect(Number(port), '127.0.0.1')
  let answer = ''
  socket.on('data', (data) => {
    answer += data
  })
  const framing = `content-length: ${Buffer.byteLength(webhook.body)}`
  socket.on('error', () => {}).write(bytesOf(webhook, framing, pathname))
  await once(socket, 'close')
  const status = answer.match(/^HTTP\/1\.1 (\d{3})/)?.[1]
  return status ? Number(status) : null
}

type CutOff = (webhook: Webhook) => {
  framing: string
  body: string
  end: 'end' | 'resetAndDestroy'
}

/** In these requests the body never arrives whole. Node reports an end and a reset differently. */
export const cutOffs: [string, CutOff][] = (['end', 'resetAndDestroy'] as const).flatMap((end) => [
  [`half a body, then ${end}`, ({ body }) => ({ ...half(body), end })],
  [`no body, then ${end}`, ({ body }) => ({ ...half(body), body: '', end })],
  [
    `half a chunk, then ${end}`,
    ({ body }) => ({
      framing: 'transfer-encoding: chunked',
      body: `${body.length.toString(16)}\r\n${half(body).body}`,
      end,
    }),
  ],
  [
    `a whole chunk and no last one, then ${end}`,
    ({ body }) => ({
      framing: 'transfer-encoding: chunked',
      body: `${body.length.toString(16)}\r\n${body}\r\n`,
      end,
    }),
  ],
])

function half(body: string | Buffer) {
  const text = `${body}`
  return {
    framing: `content-length: ${text.length}`,
    body: text.slice(0, Math.floor(text.length / 2)),
  }
}

const SEEN_MS = 20 // the server has begun to read the body by then

export async function hangUp(url: string, webhook: Webhook, cutOff: CutOff): Promise<void> {
  const { port, pathname } = new URL(url)
  const { framing, body, end } = cutOff(webhook)
  const socket = connect(Number(port), '127.0.0.1').on('error', () => {})
  await once(socket, 'connect')
  const sent = bytesOf({ ...webhook, body }, framing, pathname)
  await new Promise((resolve) => socket.write(sent, resolve))
  await new Promise((resolve) => setTimeout(resolve, SEEN_MS))
  socket.resume()[end]()
  if (!socket.destroyed) await once(socket, 'close')
}

const each = (change: (signature: string) => string | string[]) => (webhook: Webhook) => ({
  ...webhook,
  headers: {
    ...webhook.headers,
    'webhook-signature': change(`${webhook.headers['webhook-signature']}`),
    'x-webhook-signature': change(`${webhook.headers['x-webhook-signature']}`),
  },
})

function without({ headers, body }: Webhook, ...names: string[]): Webhook {
  const kept = Object.entries(headers).filter(([name]) => !names.includes(name))
  return { headers: Object.fromEntries(kept), body }
}

const E9 = '\xe9' // one byte in a header, two bytes in UTF-8

/**
 * Each function changes a valid webhook into one that the receiver and every sample must refuse.
 */
export const forgeries: [string, (webhook: Webhook) => Webhook][] = [
  ['signatures of the right length', each((right) => right.replace(/[^,]{8}$/, 'aaaaaaaa'))],
  ['signatures one character shorter', each((right) => right.slice(0, -1))],
  ['signatures one character longer', each((right) => `${right}a`)],
  ['signatures that are longer by letters that are not hex', each((right) => `${right}zz`)],
  ['empty signatures', each(() => '')],
  ['a last byte above 127', each((right) => right.slice(0, -1) + E9)],
  ['63 letters and a byte above 127', each(() => 'a'.repeat(63) + E9)],
  ['signatures that are 64 bytes in UTF-8', each(() => E9.repeat(32))],
  ['nothing but bytes above 127', each((right) => E9.repeat(right.length))],
  ['a version of signatures and no signature', each(() => 'v1')],
  ['no signatures', (right) => without(right, 'webhook-signature', 'x-webhook-signature')],
  ['no header of ours', ({ body }) => ({ headers: {}, body })],
  ['two wrong signatures in each header', each(() => ['a'.repeat(64), 'b'.repeat(64)])],
  ['another body', (right) => ({ ...right, body: rightBody('evt_another') })],
  ['a byte order mark before the body', (right) => ({ ...right, body: `\ufeff${right.body}` })],
]

const TEN_MINUTES_MS = 600_000
const minutesOff = (byMs: number) => (secret: string) =>
  signed(secret, 'evt_late', rightBody('evt_late'), new Date(Date.now() + byMs))

const withHeader = (name: string, value: string | string[]) => (secret: string) => {
  const { headers, body } = signed(secret, 'evt_changed')
  return { headers: { ...headers, [name]: value }, body }
}

/**
 * Standard Webhooks refuses these webhooks. The HMAC of the body does not cover the id or the
 * timestamp.
 */
export const staleWebhooks: [string, (secret: string) => Webhook][] = [
  ['sent ten minutes ago', minutesOff(-TEN_MINUTES_MS)],
  ['sent in ten minutes', minutesOff(TEN_MINUTES_MS)],
  ['with a timestamp in letters', withHeader('webhook-timestamp', 'yesterday')],
  ['with a timestamp of bytes above 127', withHeader('webhook-timestamp', E9.repeat(10))],
  ['with an empty timestamp', withHeader('webhook-timestamp', '')],
  [
    'with another timestamp',
    withHeader('webhook-timestamp', `${Math.floor(Date.now() / 1000) - 9}`),
  ],
  ['with another id', withHeader('webhook-id', 'evt_other')],
  ['with two ids', withHeader('webhook-id', ['evt_changed', 'evt_changed'])],
  ['without an id', (secret) => without(signed(secret, 'evt_1'), 'webhook-id')],
  ['without a timestamp', (secret) => without(signed(secret, 'evt_1'), 'webhook-timestamp')],
]

/** These bodies are not events. Only an owner of the secret can sign them. */
export const notEvents = [
  '',
  'no JSON',
  '{"id":',
  'null',
  '17',
  '"evt_1"',
  '[]',
  '{}',
  '{"id":"evt_1"}',
]
