import { DrizzleQueryError } from 'drizzle-orm'
import { scrub, scrubbed } from '../../core/scrub.ts'
import { keptLog } from '../support/log.ts'

test.each([
  ['card 4539148803436467 declined', 'card [card] declined'],
  ['4539 1488 0343 6467', '[card]'],
  ['4539-1488-0343-6467,', '[card],'],
  ['378282246310005 and 3782 822463 10005', '[card] and [card]'],
  ['{"number":"6304000000000000","cvc":"123"}', '{"number":"[card]","cvc":"123"}'],
  ['x\n4539148803436467', 'x\\u{a}[card]'],
  ['\x004539148803436467\x00', '\\u{0}[card]\\u{0}'],
  ['\x1b[2J\r\t\x7f\x9b\u2028\u202e', '\\u{1b}[2J\\u{d}\\u{9}\\u{7f}\\u{9b}\\u{2028}\\u{202e}'],
  ['card4539148803436467x', 'card[card]x'],
  ['no such vpa: asha.rao@upi!', 'no such vpa: [vpa]!'],
  ['GET /pay?vpa=asha.rao%40okbank HTTP', 'GET /pay?vpa=[vpa] HTTP'],
  ['signed with whsec_Zm9v+YmFy/A==.', 'signed with whsec_[hidden].'],
  ['secret_test_xyz789 and secret_aB-3_xyz', 'secret_[hidden] and secret_[hidden]'],
  ['authorization: Bearer abc.def-ghi', 'authorization: Bearer [hidden]'],
  ['postgres://remit:hunter2@db:5432/remit', 'postgres://remit:[hidden]@db:5432/remit'],
  ['postgres://remit:a@b:c@db/remit', 'postgres://remit:[hidden]@db/remit'],
])('%j is changed before it is logged', (text, expected) => {
  expect(scrub(text)).toBe(expected)
})

test.each([
  'pay_01k0a1b2c3d4e5f6g7h8j9k0mn is left to the sweep',
  'req_12345678901234567890123456789012',
  // The digits at the end of this id pass Luhn.
  'run 019ab5c0-7e33-7123-8123-123456789015 of whd_01234567890123456789012345',
  'te***@upi',
  'secret_key_required',
  '4539148803436468 fails Luhn, 12345 is short',
  'at file:///app/node_modules/@temporalio/worker/lib/worker.js:12:34',
  'POST /api/v1/payments 201 in 12 ms',
])('%j is logged unchanged', (text) => {
  expect(scrub(text)).toBe(text)
})

test('a field named like a secret is hidden, at any depth and with any value', () => {
  const card = { number: '1', cvc: '2' }
  const headers = { 'X-Api-Secret': 'abc', authorization: 'abc', accept: '*/*' }
  const all = {
    card,
    headers: [headers],
    vpa: null,
    apiKey: 'abc',
    DATABASE_PASSWORD: 'abc',
    id: 7,
  }
  expect(scrubbed({ all })).toEqual({
    all: {
      card: '[hidden]',
      headers: [{ 'X-Api-Secret': '[hidden]', authorization: '[hidden]', accept: '*/*' }],
      vpa: '[hidden]',
      apiKey: '[hidden]',
      DATABASE_PASSWORD: '[hidden]',
      id: 7,
    },
  })
  expect(scrubbed({ seen: 4539148803436467 })).toEqual({ seen: '[card]' })
})

test('an error is logged with its causes, but without parameters, details and bodies', () => {
  const { log, lines } = keptLog()
  const cause = Object.assign(new Error('duplicate key'), { detail: 'Key (x)=(row value)' })
  const query = new DrizzleQueryError('insert', ['a parameter', '4539148803436467'], cause)
  const err = Object.assign(new Error('It failed for asha@upi', { cause: query }), {
    response: { body: 'a body' },
    code: 'E1',
  })
  log.child({ request_id: 'req_1' }).error({ err, vpa: 'asha@upi' }, 'Failed for asha@upi')
  expect(lines).toMatchObject([
    {
      msg: 'Failed for [vpa]',
      request_id: 'req_1',
      vpa: '[hidden]',
      err: { message: 'It failed for [vpa]: Postgres: duplicate key', code: 'E1' },
    },
  ])
  expect(lines[0]?.err?.stack).toMatch(/^Error: It failed for \[vpa\]\n +at .*\ncaused by: /s)
  expect(JSON.stringify(lines)).not.toMatch(/asha|4539148803436467|row value|parameter|a body/)
})

test('no text in a log line can begin another line, and only a stack has several lines', () => {
  const { log, lines } = keptLog()
  const forged = 'x\n{"level":50}\x1b[2J\0'
  log.child({ of: forged }).error({ err: new Error(forged), field: [forged] }, forged)
  const seen = 'x\\u{a}{"level":50}\\u{1b}[2J\\u{0}'
  expect(lines).toMatchObject([{ of: seen, field: [seen], msg: seen, err: { message: seen } }])
  expect(lines[0]?.err?.stack).toMatch(/^Error: x\n.*\\u\{1b\}\[2J\\u\{0\}\n +at /)
})

test('any thrown value can be logged', () => {
  const { log, lines } = keptLog()
  const circular = new Error('round')
  circular.cause = circular
  for (const err of [circular, 'secret_abcdef', null, { number: '4539148803436467' }, 7n])
    log.warn({ err }, 'Thrown')
  expect(lines).toHaveLength(5)
  expect(JSON.stringify(lines)).not.toMatch(/abcdef|4539/)
})
