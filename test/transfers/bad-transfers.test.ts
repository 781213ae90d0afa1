import { testDb } from '../support/db.ts'
import { contents, expectRefusal } from '../support/http.ts'
import { keptLog } from '../support/log.ts'
import { testTill, toBank, toVpa } from './till.ts'

const db = testDb()
const { log, lines } = keptLog()

let till: Awaited<ReturnType<typeof testTill>>
let paid: string
beforeAll(async () => {
  till = await testTill(db, { log })
  paid = await till.paid()
  await till.topUp(1_000_000)
})

type Bad = [name: string, body: unknown, param?: string | null]

const pairs = Object.fromEntries(Array.from({ length: 51 }, (_, n) => [n, '']))

/** Returns bodies whose amount is invalid and whose other fields are good. */
const badAmounts = (good: object): Bad[] => [
  ['no amount', { ...good, amount: undefined }, 'amount'],
  ['nothing', { ...good, amount: 0 }, 'amount'],
  ['a negative amount', { ...good, amount: -1 }, 'amount'],
  ['a fraction', { ...good, amount: 0.5 }, 'amount'],
  ['an amount as text', { ...good, amount: '1' }, 'amount'],
  ['an amount of null', { ...good, amount: null }, 'amount'],
  ['a list of amounts', { ...good, amount: [1] }, 'amount'],
  ['too much', { ...good, amount: 1_000_000_000_000 }, 'amount'],
  ['more than 2^53', '{"amount":9007199254740993}', 'amount'],
  ['more than any double', '{"amount":1e999}', 'amount'],
  ['a body that is a number', '1', null],
]
const badCurrencies = (good: object): Bad[] => [
  ['no currency', { ...good, currency: undefined }, 'currency'],
  ['an unknown currency', { ...good, currency: 'ABC' }, 'currency'],
  ['a currency in other letters', { ...good, currency: 'ıNR' }, 'currency'],
  ['a currency and a space', { ...good, currency: 'INR ' }, 'currency'],
  ['two currencies', { ...good, currency: ['INR', 'USD'] }, 'currency'],
]
const LONG_NAME = 'x'.repeat(41)

const badMetadata = (good: object): Bad[] => [
  ['51 pairs of metadata', { ...good, metadata: pairs }, 'metadata'],
  ['a metadata name of 41', { ...good, metadata: { [LONG_NAME]: '' } }, `metadata.${LONG_NAME}`],
  ['a metadata value of 501', { ...good, metadata: { a: 'x'.repeat(501) } }, 'metadata.a'],
  ['a metadata number', { ...good, metadata: { a: 1 } }, 'metadata.a'],
  ['metadata of null', { ...good, metadata: null }, 'metadata'],
]

const refund = { amount: 1 }
const badRefunds: Bad[] = [
  ...badAmounts(refund),
  ...badMetadata(refund),
  ['a currency', { ...refund, currency: 'INR' }, 'currency'],
  ['a status', { ...refund, status: 'succeeded' }, 'status'],
  ['a payment of its own', { ...refund, payment_id: 'pay_404' }, 'payment_id'],
  ['an empty reason', { ...refund, reason: '' }, 'reason'],
  ['a reason of 501', { ...refund, reason: 'x'.repeat(501) }, 'reason'],
  ['a reason of null', { ...refund, reason: null }, 'reason'],
  ['a reason with NUL', { ...refund, reason: 'a\0' }, 'reason'],
]

const topup = { amount: 1, currency: 'INR' }
const badTopups: Bad[] = [
  ...badAmounts(topup),
  ...badCurrencies(topup),
  ['metadata', { ...topup, metadata: {} }, 'metadata'],
  ['an id', { ...topup, id: 'topup_1' }, 'id'],
]

const payout = { amount: 1, currency: 'INR', destination: toVpa }
const to = (destination: unknown) => ({ ...payout, destination })
const vpa = (value: unknown) => to({ type: 'vpa', vpa: value })
const bank = (change: object) => to({ ...toBank, ...change })
const badPayouts: Bad[] = [
  ...badAmounts(payout),
  ...badCurrencies(payout),
  ...badMetadata(payout),
  ['a description of 501', { ...payout, description: 'x'.repeat(501) }, 'description'],
  ['a provider', { ...payout, provider: 'stripe' }, 'provider'],
  ['no destination', to(undefined), 'destination'],
  ['a destination of null', to(null), 'destination'],
  ['a destination as text', to('seller@upi'), 'destination'],
  ['a list of destinations', to([toVpa]), 'destination'],
  ['a destination without a type', to({ vpa: 'seller@upi' }), 'destination.type'],
  ['an unknown type', to({ ...toVpa, type: 'cash' }), 'destination.type'],
  ['a type of the prototype', to({ ...toVpa, type: 'toString' }), 'destination.type'],
  ['no vpa', vpa(undefined), 'destination.vpa'],
  ['a vpa without a handle', vpa('4539148803436467'), 'destination.vpa'],
  ['a vpa with two', vpa('4539148803436467@a@upi'), 'destination.vpa'],
  ['a vpa with a line break', vpa('4539148803436467@upi\n'), 'destination.vpa'],
  ['a vpa of a number', vpa(4539148803436467), 'destination.vpa'],
  ['a vpa with NUL', vpa('4539148803436467\0@upi'), 'destination.vpa'],
  ['a vpa that is too long', vpa(`${'4539148803436467'.repeat(17)}@upi`), 'destination.vpa'],
  ['a vpa of a bank account', to({ ...toBank, vpa: 'a@upi' }), 'destination.vpa'],
  ['an account of a vpa', to({ ...toVpa, account_number: '4539148803436467' }), number()],
  ['no account number', bank({ account_number: undefined }), number()],
  ['an account number of 5', bank({ account_number: '45391' }), number()],
  ['an account number of 35', bank({ account_number: '4539148'.repeat(5) }), number()],
  ['an account number with a slash', bank({ account_number: '4539148803436467/1' }), number()],
  ['an account number of spaces', bank({ account_number: '        ' }), number()],
  ['an account number of a number', bank({ account_number: 4539148803436467 }), number()],
  ['an account number in other digits', bank({ account_number: '١٢٣٤٥٦٧٨' }), number()],
  ['no bank code', bank({ bank_code: undefined }), 'destination.bank_code'],
  ['a bank code of 3', bank({ bank_code: 'HDF' }), 'destination.bank_code'],
  ['a bank code of 12', bank({ bank_code: 'HDFC00001234' }), 'destination.bank_code'],
  ['an IFSC that lacks a digit', bank({ bank_code: 'HDFC 000123' }), 'destination.bank_code'],
  ['an IFSC without its zero', bank({ bank_code: 'HDFC 1000123' }), 'destination.bank_code'],
  ['an IBAN of a wrong digit', bank({ account_number: 'DE89370400440532013001' }), number()],
  ['no holder', bank({ holder_name: undefined }), 'destination.holder_name'],
  ['a holder of spaces', bank({ holder_name: '  ' }), 'destination.holder_name'],
  ['a holder of 141', bank({ holder_name: 'x'.repeat(141) }), 'destination.holder_name'],
  ['an unknown field', to({ ...toVpa, name: 'Asha' }), 'destination.name'],
]

function number() {
  return 'destination.account_number'
}

async function expectInvalid(path: string, body: unknown, param?: string | null) {
  const before = await contents(db)
  lines.length = 0
  const answer = await till.call('POST', `/api/v1/${path}`, body)
  expectRefusal(answer, 400, 'invalid_request', param)
  expect(JSON.stringify([answer.body, lines])).not.toMatch(/4539148|DE8937|Asha/)
  expect(await contents(db)).toEqual(before)
}

test.each(badRefunds)('a refund with %s is invalid', (_, body, param) =>
  expectInvalid(`payments/${paid}/refunds`, body, param),
)
test.each(badTopups)('a topup with %s is invalid', (_, body, param) =>
  expectInvalid('test/balance_topups', body, param),
)
test.each(badPayouts)(
  'a payout with %s is invalid, and the answer repeats no input',
  (_, body, param) => expectInvalid('payouts', body, param),
)

test.each([
  ['refunds?status=completed', 'status'],
  ['refunds?payment_id=', 'payment_id'],
  ['refunds?currency=INR', 'currency'],
  ['payouts?status=succeeded', 'status'],
  ['payouts?destination=a', 'destination'],
  ['balance_transactions?type=fee', 'type'],
  ['balance_transactions?source=', 'source'],
  ['balance_transactions?starting_after=txn_404', 'starting_after'],
  ['balance_transactions?limit=0', 'limit'],
  ['balance?currency=INR', 'currency'],
])('GET /%s is refused', async (path, param) => {
  expectRefusal(await till.get(path), 400, 'invalid_request', param)
})
