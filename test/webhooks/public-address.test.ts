import { checkWebhookUrl, isPublicAddress } from '../../core/webhooks/public-address.ts'
import { SPECIAL_V4, SPECIAL_V6 } from '../support/special-addresses.ts'

const PUBLIC = `1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 126.255.255.255
  128.0.0.1 172.15.255.255 172.32.0.1 192.167.255.255 198.17.255.255 198.20.0.1 223.255.255.255
  2001:4860:4860::8888 2606:4700:4700::1111 2a00:1450:4001::1 2400:cb00::1`.split(/\s+/)

test.each([...SPECIAL_V4, ...SPECIAL_V6])('%s is not a public address', (ip) => {
  expect(isPublicAddress(ip)).toBe(false)
})

test.each(PUBLIC)('%s is a public address', (ip) => expect(isPublicAddress(ip)).toBe(true))

test.each(['', 'shop.example', '8.8', '134744072', '010.8.8.8', '0x8.8.8.8', '8.8.8.8 ', 'x::1'])(
  '%p, which no resolver returns, is not a public address',
  (ip) => expect(isPublicAddress(ip)).toBe(false),
)

const NO_HOST =
  'The URL must have two slashes and a plain host name after its scheme, as in https://shop.example/webhooks.'

test.each([
  ['https://shop.example/hook?x=1', null],
  ['https://shop.example:8443/', null],
  ['https://8.8.8.8/', null],
  ['https://[2606:4700::1111]/', null],
  ['http://shop.example/', 'The URL must start with https://.'],
  ['ftp://shop.example/', 'The URL must start with https://.'],
  ['shop.example', 'The URL is not valid.'],
  ['https://', 'The URL is not valid.'],
  ['https://a:b@shop.example/', 'The URL must not contain a user name or password.'],
  ['https://shop.example/#', 'The URL must not contain a fragment (#).'],
  [
    'https://shop.example/\0',
    'The URL must not contain spaces, control characters or invisible characters.',
  ],
  [
    `https://shop.example/${'x'.repeat(2_048)}`,
    'The URL must not be longer than 2,048 characters.',
  ],
  ['https://@shop.example/', 'The URL must not contain a user name or password.'],
  ['https://shop\u200b.example/', /or invisible characters/],
  ['https://shop.onion/', "The URL's host shop.onion is not a public name."],
  ['https://intranet/', "The URL's host intranet is not a public name."],
  ['https://db.localhost./', "The URL's host db.localhost is not a public name."],
  ['https://metadata.google.internal/', /metadata.google.internal is not a public name/],
  ['https://0x7f.1/', "The URL's host 127.0.0.1 is not a public address."],
  ['https://[::1]/', "The URL's host ::1 is not a public address."],
])('checking the webhook URL %j returns %s', (url, sentence) => {
  const said = checkWebhookUrl(url, { allowHttp: false, allowPrivateNetworks: false })
  sentence instanceof RegExp ? expect(said).toMatch(sentence) : expect(said).toBe(sentence)
})

test.each([
  ...['https:shop.example', 'https:/shop.example', 'https:///shop.example'],
  ...['https:\\\\shop.example', 'https://shop.example\\x', 'https://shop.example%2e/'],
])('the webhook URL %j is refused because it has no plain host name', (url) => {
  const policy = { allowHttp: false, allowPrivateNetworks: false }
  expect(checkWebhookUrl(url, policy)).toBe(NO_HOST)
})

const name253 = `${'a.'.repeat(123)}example`
const EMPTY = "The URL's host must not have an empty part before or after a dot."
const LONG_LABEL = "Each part of the URL's host must not be longer than 63 characters."
const LONG_NAME = "The URL's host must not be longer than 253 characters."
const CHARACTERS =
  "Each part of the URL's host may only have letters, digits, underscores, and hyphens that are neither its first nor its last character."
const PORT = "The URL's port must be from 1 to 65535."

describe.each([
  ['in production', { allowHttp: false, allowPrivateNetworks: false }],
  ['in development', { allowHttp: true, allowPrivateNetworks: true }],
])('Checking the host of a webhook URL %s', (_, policy) => {
  test.each([
    ...['localhost..', 'shop.example..', '.shop.example', 'a..example'].map((h) => [h, EMPTY]),
    ...['.', '..', 'a。。example', '8.8.8.8..'].map((h) => [h, EMPTY]),
    [`${'a'.repeat(63)}.example`, null],
    [`${'a'.repeat(64)}.example`, LONG_LABEL],
    [`${'é'.repeat(63)}.example`, LONG_LABEL],
    [name253, null],
    [`${name253}.`, null],
    [`b${name253}`, LONG_NAME],
    [`${name253}..`, LONG_NAME],
    ...[...'!$&\'()*+,;=`{}~"'].map((character) => [`a${character}b.example`, CHARACTERS]),
    ...['-a.example', 'a-.example', 'a.-.example', '*.example'].map((h) => [h, CHARACTERS]),
    ...[
      'shop.example.',
      'a--b.example',
      '_a_._b.example',
      '1a.2.example',
      'münchen.example',
      '8.8.8.8.',
    ].map((h) => [h, null]),
    ...['shop.example:0', 'shop.example:000', '8.8.8.8:0', '[2606:4700::1111]:0'].map((h) => [
      h,
      PORT,
    ]),
    ['shop.example:1', null],
    ['shop.example:65535', null],
    ['shop.example:65536', 'The URL is not valid.'],
  ])('the webhook host %j is answered with %j', (host, sentence) => {
    expect(checkWebhookUrl(`https://${host}/hook`, policy)).toBe(sentence)
  })
})

test('loopback http URLs are accepted if http and private networks are allowed', () => {
  const dev = { allowHttp: true, allowPrivateNetworks: true }
  expect(checkWebhookUrl('http://localhost:3000/hook', dev)).toBeNull()
  expect(checkWebhookUrl('http://127.0.0.1:3000/hook', dev)).toBeNull()
})
