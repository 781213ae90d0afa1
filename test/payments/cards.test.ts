import { brandOf } from '../../core/money/card.ts'
import { cardBrands } from '../../core/money/card-brands.ts'
import { testDb } from '../support/db.ts'
import { byCard, card, contents, expectRefusal, testShop } from '../support/http.ts'

const db = testDb()
let shop: Awaited<ReturnType<typeof testShop>>
beforeAll(async () => {
  shop = await testShop(db)
})

/** Each row holds a range, the brand of its ends, and the brands just below and just above it. */
type Range = [from: string, to: string, brand: string, below: string, above: string]
const ranges: Range[] = [
  ['4', '4', 'visa', 'diners', 'unknown'], // 39… and 50…
  ['51', '55', 'mastercard', 'unknown', 'maestro'],
  ['2221', '2720', 'mastercard', 'unknown', 'unknown'],
  ['34', '34', 'amex', 'unknown', 'unknown'],
  ['37', '37', 'amex', 'diners', 'diners'],
  ['6011', '6011', 'discover', 'unknown', 'unknown'],
  ['644', '649', 'discover', 'unknown', 'discover'],
  ['65', '65', 'discover', 'discover', 'unknown'],
  ['622126', '622925', 'discover', 'unionpay', 'unionpay'],
  ['300', '305', 'diners', 'unknown', 'unknown'],
  ['3095', '3095', 'diners', 'unknown', 'unknown'],
  ['36', '36', 'diners', 'unknown', 'amex'],
  ['38', '39', 'diners', 'amex', 'visa'],
  ['3528', '3589', 'jcb', 'unknown', 'unknown'],
  ['62', '62', 'unionpay', 'unknown', 'unknown'],
  ['810000', '817199', 'unionpay', 'unknown', 'rupay'],
  ['508500', '508999', 'rupay', 'unknown', 'unknown'],
  ['606985', '607984', 'rupay', 'unknown', 'unknown'],
  ['608001', '608500', 'rupay', 'unknown', 'unknown'],
  ['652150', '653149', 'rupay', 'discover', 'discover'],
  ['817200', '820199', 'rupay', 'unionpay', 'unknown'],
  ['5018', '5018', 'maestro', 'unknown', 'unknown'],
  ['5020', '5020', 'maestro', 'unknown', 'unknown'],
  ['5038', '5038', 'maestro', 'unknown', 'unknown'],
  ['56', '58', 'maestro', 'mastercard', 'unknown'],
  ['6304', '6304', 'maestro', 'unknown', 'unknown'],
  ['6759', '6759', 'maestro', 'unknown', 'unknown'],
  ['676770', '676770', 'maestro', 'unknown', 'unknown'],
  ['676774', '676774', 'maestro', 'unknown', 'unknown'],
  ['6761', '6763', 'maestro', 'unknown', 'unknown'],
]

test.each(ranges)(
  'card numbers from %s to %s are of the brand %s, with %s below and %s above',
  (from, to, brand, below, above) => {
    expect(brandOf(from.padEnd(16, '0'))).toBe(brand)
    expect(brandOf(to.padEnd(16, '9'))).toBe(brand)
    expect(brandOf(`${Number(from) - 1}`.padEnd(16, '9'))).toBe(below)
    expect(brandOf(`${Number(to) + 1}`.padEnd(16, '0'))).toBe(above)
  },
)

test('every range of the table of card brands is tested', () => {
  const inTable = cardBrands.flatMap(({ brand, ranges: all }) =>
    all.map(([from, to]) => `${brand} ${from}-${to}`),
  )
  expect(ranges.map(([from, to, brand]) => `${brand} ${from}-${to}`).sort()).toEqual(inTable.sort())
})

/** Each row holds a brand, a prefix, the allowed lengths of a number, and the length of the cvc. */
const rules: [brand: string, prefix: string, lengths: number[], cvcLength: number][] = [
  ['visa', '4539', [13, 16, 19], 3],
  ['mastercard', '5105', [16], 3],
  ['mastercard', '2720', [16], 3],
  ['amex', '3782', [15], 4],
  ['discover', '6011', [16, 17, 18, 19], 3],
  ['discover', '6500', [16, 17, 18, 19], 3],
  ['diners', '3056', [14, 15, 16, 17, 18, 19], 3],
  ['jcb', '3530', [16, 17, 18, 19], 3],
  ['unionpay', '6200', [16, 17, 18, 19], 3],
  ['rupay', '6522', [16], 3],
  ['maestro', '6759', [12, 13, 14, 15, 16, 17, 18, 19], 3],
]
const lengths = [12, 13, 14, 15, 16, 17, 18, 19]

/** Returns a number of this length that passes the Luhn check. */
function numberOf(prefix: string, length: number): string {
  const body = prefix.padEnd(length - 1, '7')
  const sum = [...body].reverse().reduce((total, digit, i) => {
    const value = Number(digit) * (i % 2 === 0 ? 2 : 1)
    return total + (value > 9 ? value - 9 : value)
  }, 0)
  return `${body}${(10 - (sum % 10)) % 10}`
}
const pay = (change: object) =>
  shop.call('POST', '/api/v1/payments', { ...byCard, card: { ...card, ...change } })

test.each(rules)(
  'a %s number that begins with %s has %j digits and a cvc of %i',
  async (brand, prefix, allowed, cvcLength) => {
    const cvc = '1234'.slice(0, cvcLength)
    for (const length of lengths) {
      const answer = await pay({ number: numberOf(prefix, length), cvc })
      if (allowed.includes(length)) {
        expect([length, answer.status, answer.body.card?.brand]).toEqual([length, 201, brand])
        continue
      }
      expectRefusal(answer, 400, 'invalid_request', 'card.number')
      expect(answer.body.error.message).toMatch(
        new RegExp(`brand ${brand} have .*${allowed.at(-1)} digits`),
      )
    }
    const otherCvc = '1234'.slice(0, 7 - cvcLength)
    const answer = await pay({ number: numberOf(prefix, allowed[0] ?? 0), cvc: otherCvc })
    expectRefusal(answer, 400, 'invalid_request', 'card.cvc')
    expect(answer.body.error.message).toContain(`${brand} has ${cvcLength} digits`)
  },
)

test.each([
  ['zeros', '0000000000000000'],
  ['an airline', numberOf('1', 15)],
  ['Mir', numberOf('2200', 16)],
  ['a prefix between two ranges of RuPay', numberOf('607985', 16)],
])('a card number of %s belongs to no accepted brand and is refused', async (_, number) => {
  const before = await contents(db)
  const answer = await pay({ number })
  expectRefusal(answer, 400, 'invalid_request', 'card.number')
  expect(answer.body.error.message).toMatch(/no accepted brand.*visa, .*rupay/)
  expect(await contents(db)).toEqual(before)
})

test('a payment link refuses a card of no brand and a cvc of the wrong length', async () => {
  const link = (await shop.call('POST', '/api/v1/payment_links', { amount: 100, currency: 'USD' }))
    .body
  const payLink = (change: object) =>
    shop.call('POST', `/pay/${link.id}`, { method: 'card', card: { ...card, ...change } })
  const zeros = await payLink({ number: '0000 0000 0000 0000' })
  expectRefusal(zeros, 400, 'invalid_request', 'card.number')
  const amex = { number: '378282246310005' }
  expectRefusal(await payLink({ ...amex, cvc: '123' }), 400, 'invalid_request', 'card.cvc')
  const paid = await payLink({ ...amex, cvc: '1234' })
  expect([paid.status, paid.body.card?.brand]).toEqual([200, 'amex'])
})

test.each([
  '4242424242424242',
  '4000000000000002',
  '4000000000009995',
  '4000000000000259',
  '4000000000005126',
])('the test card %s is accepted', async (number) => {
  expect((await pay({ number, cvc: '123' })).status).toBe(201)
})
