import { createPost } from '../../activities/webhooks/outbound.ts'
import { describeFailure } from '../../activities/webhooks/outbound-failure.ts'
import { testDb } from '../support/db.ts'
import { attemptingShop } from './attempting.ts'
import { testRawServers } from './raw-server.ts'

const db = testDb()
const listen = testRawServers()
const post = createPost({ allowHttp: true, allowPrivateNetworks: true, timeoutMs: 400 })
afterAll(post.close)

const STATUS = 'The response status is not valid: it must be a number from 100 to 999'
const NOT_HTTP = 'The response is not valid HTTP'

test.each([
  ...['000', '001', '099', '99', '1000', '2x0', '-20', '99999999999', ''].map((s) => [s, STATUS]),
  ['200 OK\r\nfoo bar: x', NOT_HTTP],
  ['200 OK\r\ncontent-length: x', NOT_HTTP],
])(
  'an answer with the status line %j fails the post with a plain sentence',
  async (status, error) => {
    const server = await listen((socket) => socket.end(`HTTP/1.1 ${status}\r\n\r\n`))
    expect(await post(server.url, '{}', {})).toMatchObject({ httpStatus: null, error })
  },
)

test('an answer that ends inside its headers fails the post with a plain sentence', async () => {
  const server = await listen((socket) => socket.end('HTTP/1.1 200 OK\r\nx: y'))
  const error = 'Connection closed before an answer'
  expect(await post(server.url, '{}', {})).toMatchObject({ httpStatus: null, error })
})

test.each([
  ['000', null, STATUS],
  ['600', 600, null],
  ['999', 999, null],
])(
  'a webhook that is answered with status %s is recorded as a failed attempt',
  async (status, shown, error) => {
    const server = await listen((socket) => socket.end(`HTTP/1.1 ${status}\r\n\r\n`))
    const shop = await attemptingShop(db, server.url)
    const delivery = await shop.attempt()
    expect(delivery.attempts).toMatchObject([{ state: 'failed', http_status: shown, error }])
    expect(delivery.next_attempt_at).toMatch(/Z$/)
    await shop.close()
  },
)

test.each([
  ['ECONNRESET', undefined, 'Connection closed before an answer'],
  ['ETIMEDOUT', 'connect', 'Connection timed out'],
  ['EADDRNOTAVAIL', 'connect', 'Connection failed (EADDRNOTAVAIL)'],
  ['EAI_AGAIN', 'getaddrinfo', 'Name lookup failed: shop.example'],
  ['CERT_HAS_EXPIRED', undefined, 'TLS certificate: the certificate has expired'],
  [
    'ERR_TLS_CERT_ALTNAME_INVALID',
    undefined,
    'TLS certificate: the certificate is for another host name',
  ],
  [
    'INVALID_PURPOSE',
    undefined,
    'TLS certificate: the certificate is not trusted (INVALID_PURPOSE)',
  ],
  ['ERR_SSL_WRONG_VERSION_NUMBER', undefined, 'TLS handshake failed'],
  ['HPE_STRICT', undefined, NOT_HTTP],
  ['ERR_ASSERTION', undefined, 'No answer (ERR_ASSERTION)'],
  [undefined, undefined, 'No answer'],
])('a failure with code %s in %s reads %j and hides its message', (code, syscall, text) => {
  const failure = Object.assign(new Error('connect to 10.0.0.7 from 10.0.0.8'), { code, syscall })
  expect(describeFailure(failure, 'https://shop.example/')).toBe(text)
  const several = new AggregateError([failure, failure], 'all of 10.0.0.7')
  expect(describeFailure(several, 'https://shop.example/')).toBe(text)
})
