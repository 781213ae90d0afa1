import { eq } from 'drizzle-orm'
import { findAccountNumberProblem, findBankCodeProblem } from '../../core/money/bank-account.ts'
import { ibanLengths } from '../../core/money/iban-lengths.ts'
import { openDestination } from '../../db/payouts/payouts.ts'
import { payouts } from '../../db/payouts/schema.ts'
import { testCipher } from '../support/cipher.ts'
import { testDb } from '../support/db.ts'
import { contents, expectRefusal } from '../support/http.ts'
import { testTill, toBank } from '../transfers/till.ts'

const db = testDb()
let till: Awaited<ReturnType<typeof testTill>>
beforeAll(async () => {
  till = await testTill(db)
  for (const currency of ['INR', 'USD', 'CAD', 'RUB', 'BDT']) await till.topUp(1_000_000, currency)
})

const pay = (change: object, currency = 'INR') =>
  till.post('payouts', { amount: 100, currency, destination: { ...toBank, ...change } })

async function openedDestination(id: string) {
  const [row] = await db.select().from(payouts).where(eq(payouts.id, id))
  if (!row) throw new Error(`There is no payout ${id}.`)
  return openDestination(testCipher, row)
}

test.each([
  ['a UK sort code', '10-88-00', '108800', 'INR'],
  ['a UK sort code with spaces', ' 10 88 00 ', '108800', 'INR'],
  ['a BSB', '062-000', '062000', 'INR'],
  ['an IFSC', 'hdfc 0000-123', 'HDFC0000123', 'INR'],
  ['an IFSC with letters for its branch', 'BARB0VJRAJK', 'BARB0VJRAJK', 'INR'],
  ['a BIC of 8', 'DEUTDEFF', 'DEUTDEFF', 'INR'],
  ['a BIC of 11', 'DEUT DE FF 500', 'DEUTDEFF500', 'INR'],
  ['an ABA routing number', '0210-0002-1', '021000021', 'USD'],
  ['a Canadian code', '0001-00004', '000100004', 'CAD'],
  ['a BIK', '044525225', '044525225', 'RUB'],
  ['a routing number of Bangladesh', '175580763', '175580763', 'BDT'],
  ['a German bank code', '370 400 44', '37040044', 'INR'],
  ['a Bulgarian bank code', 'BNBG9661', 'BNBG9661', 'INR'],
  ['a code of four letters', 'ABNA', 'ABNA', 'INR'],
])('a bank code that is %s, %j, is stored as %s', async (_, bank_code, kept, currency) => {
  const { status, body } = await pay({ bank_code }, currency)
  expect([status, body.destination?.bank_code]).toEqual([201, kept])
  expect(await openedDestination(body.id)).toStrictEqual({ ...toBank, bank_code: kept })
})

test.each([
  ['an IFSC with a 1 for its zero', 'HDFC1000123', /fifth character of an IFSC is the digit 0/],
  ['an IFSC with the letter O', 'HDFCO000123', /fifth character of an IFSC is the digit 0/],
  ['an IFSC with separators', 'sbin-1-234567', /fifth character of an IFSC is the digit 0/],
  ['a BIC without a country', 'DEUTZZFF', /are the code of a country, and ZZ is none/],
  ['an IFSC with two letters O', 'HDFCOO00123', /are the code of a country, and OO is none/],
  ['a BIC of 6', 'DEUTDE', /BIC has 8 or 11 characters, and this one has 6/],
  ['a BIC of 7', 'DEUTDEF', /BIC has 8 or 11 characters, and this one has 7/],
  ['a BIC of 9', 'DEUTDEFF5', /BIC has 8 or 11 characters, and this one has 9/],
  ['a BIC of 10', 'DEUT DE FF 50', /BIC has 8 or 11 characters, and this one has 10/],
  ['an ABA number with a wrong digit', '021000022', /check digit of this routing number \(ABA\)/],
  ['an ABA number with swapped digits', '012000021', /check digit of this routing number \(ABA\)/],
  ['an ABA number of zeros', '000000000', /check digit of this routing number \(ABA\)/],
  ['too few characters', '1-2-3', /4 to 11 letters and digits/],
  ['too many characters', '123456789012', /4 to 11 letters and digits/],
  ['separators alone', '- - - -', /4 to 11 letters and digits/],
  ['a dot', '10.88.00', /4 to 11 letters and digits/],
  ['a letter that is ASCII only in capitals', 'HDFCı000123', /4 to 11 letters and digits/],
])('a bank code that is %s, %j, is refused with a reason', async (_, bank_code, reason) => {
  const before = await contents(db)
  const answer = await pay({ bank_code }, 'USD')
  expectRefusal(answer, 400, 'invalid_request', 'destination.bank_code')
  expect(answer.body.error.message).toMatch(reason)
  expect(await contents(db)).toEqual(before)
})

test('an IFSC that lacks a digit is refused in INR; elsewhere it may be a national code', () => {
  expect(findBankCodeProblem('HDFC000123', 'INR')).toMatch(/11 characters, and this one has 10/)
  expect(findBankCodeProblem('CPBK089299', 'GBP')).toBeNull()
})

test('a routing number is checked unless the currency has other nine-digit codes', () => {
  const isChecked = (currency: string) => findBankCodeProblem('123456789', currency) !== null
  expect(['USD', 'INR', 'EUR', 'PHP', 'NGN'].map(isChecked)).toEqual(Array(5).fill(true))
  expect(['CAD', 'RUB', 'BDT', 'TJS', 'TMT'].map(isChecked)).toEqual(Array(5).fill(false))
})

/** These examples come from the IBAN registry. */
const ibans = [
  'NO93 8601 1117 947',
  'BE68 5390 0754 7034',
  'DE89 3704 0044 0532 0130 00',
  'GB29 NWBK 6016 1331 9268 19',
  'FR14 2004 1010 0505 0001 3M02 606',
  'MT84 MALT 0110 0001 2345 MTLC AST0 01S',
  'SA03 8000 0000 6080 1016 7519',
  'XK05 1212 0123 4567 8906',
  'LC55 HEMM 0001 0001 0012 0012 0002 3015',
]

test.each(ibans)('the IBAN %s is stored without separators', async (account_number) => {
  const { status, body } = await pay({ account_number: account_number.toLowerCase() })
  expect(status).toBe(201)
  const kept = account_number.replaceAll(' ', '')
  expect(body.destination.account_number).toBe(`***${kept.slice(-4)}`)
  expect(await openedDestination(body.id)).toStrictEqual({ ...toBank, account_number: kept })
})

test('the word IBAN before an IBAN is not part of the number', async () => {
  const short = await pay({ account_number: 'IBANDE' })
  expectRefusal(short, 400, 'invalid_request', 'destination.account_number')
  const { status, body } = await pay({ account_number: 'iban GB29 NWBK 6016 1331 9268 19' })
  expect(status).toBe(201)
  expect(await openedDestination(body.id)).toMatchObject({
    account_number: 'GB29NWBK60161331926819',
  })
})

test.each([
  ['a wrong check digit', 'DE88 3704 0044 0532 0130 00', /check digits of this IBAN/],
  ['swapped digits', 'GB29 NWBK 6016 1331 9286 19', /check digits of this IBAN/],
  ['the check digits 00', 'XK00 1212 0123 4567 8906', /check digits of this IBAN/],
  ['a missing digit', 'DE89-3704-0044-0532-0130-0', /DE has 22 characters, and this one has 21/],
  ['an extra digit', 'NO93 8601 1117 9470', /NO has 15 characters, and this one has 16/],
  ['letters for check digits', 'GBXX NWBK 6016 1331 9268 19', /check digits of this IBAN/],
  ['its label', 'IBAN GB28 NWBK 6016 1331 9268 19', /check digits of this IBAN/],
  ['a few digits', 'FR1420', /FR has 27 characters, and this one has 6/],
])('an IBAN with %s, %j, is refused with a reason', async (_, account_number, reason) => {
  const before = await contents(db)
  const answer = await pay({ account_number })
  expectRefusal(answer, 400, 'invalid_request', 'destination.account_number')
  expect(answer.body.error.message).toMatch(reason)
  expect(await contents(db)).toEqual(before)
})

test.each(['IN12345678', 'US64SVBKUS6S', '000123456789', 'ABCDE12345', 'D89370400440532013000'])(
  'the account number %s begins like no IBAN and is accepted',
  async (account_number) => {
    expect((await pay({ account_number })).status).toBe(201)
  },
)

test('the IBANs of each country have one length, and one pair of check digits fits', () => {
  for (const [country, length] of ibanLengths) {
    const rest = '1'.repeat(length - 4)
    const pairs = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'))
    const fits = pairs.filter((pair) => !findAccountNumberProblem(`${country}${pair}${rest}`))
    expect([country, fits.length]).toEqual([country, 1])
    expect(findAccountNumberProblem(`${country}${fits[0]}${rest}1`)).toMatch(/characters/)
    expect(findAccountNumberProblem(`${country}${fits[0]}${rest.slice(1)}`)).toMatch(/characters/)
  }
})

test('the OpenAPI patterns of bank accounts accept what the server accepts', async () => {
  const { body } = await till.call('GET', '/openapi.json')
  const [, bank] = body.components.schemas.CreatePayout.properties.destination.oneOf
  const { bank_code, account_number } = bank.properties
  for (const code of ['10-88-00', ' 10 88 00 ', 'hdfc0000123', 'DEUTDEFF500', 'ABNA'])
    expect(code).toMatch(new RegExp(bank_code.pattern))
  for (const code of ['123', '1-2-3', '123456789012', '10.88.00'])
    expect(code).not.toMatch(new RegExp(bank_code.pattern))
  for (const iban of ibans) expect(iban).toMatch(new RegExp(account_number.pattern))
})
