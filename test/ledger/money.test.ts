import { minorUnitDigits } from '../../core/money/currencies.ts'
import { formatMoney } from '../../core/money/money.ts'
import { testDb } from '../support/db.ts'
import { contents, expectRefusal, testShop, upi } from '../support/http.ts'
import { toVpa } from '../transfers/till.ts'

const db = testDb()
const currencies = [...minorUnitDigits.keys()]

/** Minor units of these currencies do not have two digits in ISO 4217, list one of 2026-01-01. */
const digitsByCode: Record<string, number> = Object.fromEntries([
  ...'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF'
    .split(' ')
    .map((c) => [c, 0]),
  ...'BHD IQD JOD KWD LYD OMR TND'.split(' ').map((c) => [c, 3]),
  ['UYW', 4],
])
const written = ['123,456', '', '1,234.56', '123.456', '12.3456']

const withdrawn = ['BGN', 'HRK', 'ZWL', 'ANG', 'CUC', 'SLL', 'VEF', 'ITL']
const funds = ['CLF', 'USN', 'CHE', 'CHW', 'BOV', 'COU', 'MXV', 'UYI']
const withoutMinorUnit = 'XAU XAG XPT XPD XBA XBB XBC XBD XDR XSU XUA XTS XXX'.split(' ')
const refused = [...withdrawn, ...funds, ...withoutMinorUnit]

test('the table holds the 157 currencies of ISO 4217 with a minor unit that are no funds', () => {
  expect(currencies).toHaveLength(157)
  expect(currencies).toEqual(expect.arrayContaining(['VED', 'XCG', 'ZWG', 'SLE', 'XAD', 'EUR']))
  expect(currencies.filter((code) => refused.includes(code))).toEqual([])
})

test('a formatted amount has the digits of its minor unit in ISO 4217', () => {
  for (const currency of [...currencies, ...withdrawn]) {
    const number = formatMoney(123_456, currency).replace(/^[^\d]+/, '')
    expect([currency, number]).toEqual([currency, written[digitsByCode[currency] ?? 2]])
  }
})

test.each([
  [123_456, 'HUF', 'HUF\u00a01,234.56'],
  [123_456, 'IQD', 'IQD\u00a0123.456'],
  [123_456, 'JPY', '¥123,456'],
  [123_456, 'VED', 'VED\u00a01,234.56'],
  [50_000, 'INR', '₹500.00'],
  [999_999_999_999, 'UYW', 'UYW\u00a099,999,999.9999'],
  [1, 'BHD', 'BHD\u00a00.001'],
])('the amount %i %s is formatted as %s', (amount, currency, text) => {
  expect(formatMoney(amount, currency)).toBe(text)
})

test('a payment in each ISO 4217 currency is accepted, and its summary names the sum', async () => {
  const { call, started } = await testShop(db)
  for (const currency of currencies) {
    const { status, body } = await call('POST', '/api/v1/payments', { ...upi, currency })
    expect([currency, status, body.currency]).toEqual([currency, 201, currency])
    const words = `${formatMoney(upi.amount, currency)} upi payment`
    expect(started.at(-1)?.staticSummary).toBe(words)
  }
})

test('the Temporal summary of 123456 HUF says "HUF 1,234.56"', async () => {
  const { call, started } = await testShop(db)
  await call('POST', '/api/v1/orders', { amount: 123_456, currency: 'huf' })
  expect(started).toMatchObject([{ staticSummary: 'HUF\u00a01,234.56 order' }])
})

const money = (currency: string) => ({ amount: 100, currency })
const bodies: Record<string, (currency: string) => object> = {
  payments: (currency) => ({ ...upi, currency }),
  orders: money,
  invoices: money,
  payment_links: money,
  payouts: (currency) => ({ ...money(currency), destination: toVpa }),
  'test/balance_topups': money,
}

test.each(Object.entries(bodies))(
  'POST /%s refuses withdrawn currencies, funds, metals and test codes',
  async (path, body) => {
    const { call } = await testShop(db)
    const before = await contents(db)
    for (const code of refused)
      for (const currency of [code, code.toLowerCase()]) {
        const answer = await call('POST', `/api/v1/${path}`, body(currency))
        expectRefusal(answer, 400, 'invalid_request', 'currency')
        expect(answer.body.error.message).toContain('ISO 4217')
      }
    expect(await contents(db)).toEqual(before)
  },
)
