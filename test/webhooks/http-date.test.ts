import { parseRetryAfter } from '../../activities/webhooks/outbound.ts'
import { parseHttpDate } from '../../core/webhooks/http-date.ts'

const now = Date.parse('2026-06-15T12:00:00Z')

/** The first three dates are the examples of RFC 9110, section 5.6.7. */
test.each([
  ['Sun, 06 Nov 1994 08:49:37 GMT', '1994-11-06T08:49:37Z'],
  ['Sunday, 06-Nov-94 08:49:37 GMT', '1994-11-06T08:49:37Z'],
  ['Sun Nov  6 08:49:37 1994', '1994-11-06T08:49:37Z'],
  ['Sun Nov 16 08:49:37 1994', '1994-11-16T08:49:37Z'],
  ['Thu, 29 Feb 2024 00:00:00 GMT', '2024-02-29T00:00:00Z'],
  ['Sat, 31 Dec 2016 23:59:60 GMT', '2017-01-01T00:00:00Z'],
  ['Thu, 01 Jan 0050 00:00:00 GMT', '0050-01-01T00:00:00Z'],
  ['Monday, 15-Jun-76 12:00:00 GMT', '2076-06-15T12:00:00Z'],
  ['Monday, 15-Jun-76 12:00:01 GMT', '1976-06-15T12:00:01Z'],
  ['Tuesday, 29-Feb-00 00:00:00 GMT', '2000-02-29T00:00:00Z'],
  ['Wednesday, 01-Jan-25 00:00:00 GMT', '2025-01-01T00:00:00Z'],
])('%p is the HTTP date %s', (text, instant) => {
  expect(parseHttpDate(text, now)).toBe(Date.parse(instant))
})

test('a two-digit year late in a century can mean the next century', () => {
  const late = Date.parse('2090-01-01T00:00:00Z')
  const text = 'Friday, 01-Aug-10 00:00:00 GMT'
  expect(parseHttpDate(text, late)).toBe(Date.parse('2110-08-01T00:00:00Z'))
})

test.each([
  ...['', 'soon', 'soon 2099', '2026-06-16T00:00:00Z', '06 Nov 2094 08:49:37 GMT'],
  ...[
    'Sun, 6 Nov 2094 08:49:37 GMT',
    'Sun, 06 Nov 94 08:49:37 GMT',
    'Sun,06 Nov 2094 08:49:37 GMT',
  ],
  ...[
    'Sun, 06 Nov 2094 08:49:37',
    'Sun, 06 Nov 2094 08:49:37 UTC',
    'Sun, 06 Nov 2094 08:49:37 +0000',
  ],
  ...[
    'sun, 06 Nov 2094 08:49:37 GMT',
    'Sun, 06 nov 2094 08:49:37 GMT',
    'Sun, 06 Nov 2094 8:49:37 GMT',
  ],
  ...[
    'Sun, 30 Feb 2094 08:49:37 GMT',
    'Sun, 00 Nov 2094 08:49:37 GMT',
    'Sun, 32 Dec 2094 08:49:37 GMT',
  ],
  ...[
    'Sun, 06 Nov 2094 24:00:00 GMT',
    'Sun, 06 Nov 2094 08:60:37 GMT',
    'Sun, 06 Nov 2094 08:49:61 GMT',
  ],
  ...[
    'Sun, 06-Nov-94 08:49:37 GMT',
    'Sunday, 06-Nov-2094 08:49:37 GMT',
    'Sunday, 29-Feb-27 00:00:00 UTC',
  ],
  ...['Sun Nov 6 08:49:37 2094', 'Sun Nov  6 08:49:37 2094 GMT', 'Sun Nov  6 08:49:37 94'],
  ...[
    'Sun Nov  6 08:49:37 2094\n',
    ' Sun, 06 Nov 2094 08:49:37 GMT',
    'Sun, 06 Nov 2094 08:49:37 GMT, 1',
  ],
])('%p is not an HTTP date, and as Retry-After it means 0 ms', (text) => {
  expect(parseHttpDate(text, now)).toBeNull()
  if (text === text.trim()) expect(parseRetryAfter(text, now)).toBe(0)
})

test.each([
  'Mon, 15 Jun 2026 12:02:00 GMT',
  'Monday, 15-Jun-26 12:02:00 GMT',
  'Mon Jun 15 12:02:00 2026',
])('Retry-After %p is two minutes from now', (text) =>
  expect(parseRetryAfter(text, now)).toBe(120_000),
)
