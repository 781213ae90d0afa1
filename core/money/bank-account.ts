import { countries } from './countries.ts'
import { ibanLengths } from './iban-lengths.ts'

/** Removes the spaces and hyphens that people write between groups of digits. */
export function withoutSeparators(text: string): string {
  return text.replace(/[ -]/g, '')
}

/** An IBAN on paper may begin with the word IBAN. */
export function withoutIbanLabel(accountNumber: string): string {
  return accountNumber.replace(/^IBAN(?=[A-Z]{2})/i, '')
}

/**
 * Says in sentences what is wrong with an account number, or returns null. The number is in
 * capitals, without separators. Only an IBAN (ISO 13616) is checked. A number is an IBAN if it
 * begins with a registered country, and then has two digits or has the length of that country's
 * IBANs.
 */
export function findAccountNumberProblem(accountNumber: string): string | null {
  const country = accountNumber.slice(0, 2)
  const length = ibanLengths.get(country)
  const hasDigits = /^\d\d/.test(accountNumber.slice(2))
  if (length === undefined || !(hasDigits || accountNumber.length === length)) return null
  if (accountNumber.length !== length)
    return `An IBAN that begins with ${country} has ${length} characters, and this one has ${accountNumber.length}. Check the IBAN for missing or extra characters.`
  if (accountNumber.slice(2, 4) === ibanCheckDigits(accountNumber)) return null
  return 'The check digits of this IBAN do not match the rest of the IBAN. Check the IBAN for a typing error.'
}

/** ISO 7064, MOD 97-10, counts a letter as two digits, from A = 10 to Z = 35. */
function ibanCheckDigits(iban: string): string {
  const digits = `${iban.slice(4)}${iban.slice(0, 2)}00`.replace(/[A-Z]/g, (letter) =>
    String(parseInt(letter, 36)),
  )
  return String(98n - (BigInt(digits) % 97n)).padStart(2, '0')
}

/**
 * Says in sentences what is wrong with a bank code, or returns null. The code is in capitals,
 * without separators. A code whose form belongs to no standard is a national code, and is not
 * checked.
 */
export function findBankCodeProblem(bankCode: string, currency: string): string | null {
  if (/^[A-Z]{6}/.test(bankCode)) return findBicProblem(bankCode)
  if (/^[A-Z]{4}.{7}$/.test(bankCode)) return findIfscProblem(bankCode)
  if (currency === 'INR' && /^[A-Z]{4}0/.test(bankCode)) return findIfscProblem(bankCode)
  if (/^\d{9}$/.test(bankCode) && !currenciesWithOtherNineDigitCodes.has(currency))
    return findRoutingNumberProblem(bankCode)
  return null
}

/** Checks a BIC (ISO 9362). */
function findBicProblem(bankCode: string): string | null {
  if (bankCode.length === 8 || bankCode.length === 11) return findBicCountryProblem(bankCode)
  return `A BIC has 8 or 11 characters, and this one has ${bankCode.length}. Check the BIC for missing or extra characters.`
}

function findBicCountryProblem(bankCode: string): string | null {
  const country = bankCode.slice(4, 6)
  if (countries.has(country)) return null
  return `The fifth and sixth characters of a BIC are the code of a country, and ${country} is none. Check the BIC for a typing error.`
}

/** An IFSC (Reserve Bank of India) has four bank letters, a zero and six branch characters. */
function findIfscProblem(bankCode: string): string | null {
  if (bankCode.length !== 11)
    return `An IFSC has 11 characters, and this one has ${bankCode.length}. Check the IFSC for missing characters.`
  if (bankCode[4] === '0') return null
  return 'The fifth character of an IFSC is the digit 0, as in HDFC0000123. Check the IFSC for a typing error.'
}

/**
 * Banks of these currencies have nine-digit codes with other check digits or none. BDT has
 * Bangladesh Bank's routing numbers. CAD has Payments Canada's 0, institution and transit number.
 * RUB, TJS and TMT have the BIK.
 */
const currenciesWithOtherNineDigitCodes: ReadonlySet<string> = new Set([
  'BDT',
  'CAD',
  'RUB',
  'TJS',
  'TMT',
])

/** The ABA requires that the sum of the digits, weighted 3, 7 and 1, is a multiple of 10. */
function findRoutingNumberProblem(bankCode: string): string | null {
  const weights = [3, 7, 1]
  const sum = [...bankCode].reduce((total, digit, i) => {
    return total + Number(digit) * (weights[i % 3] ?? 0)
  }, 0)
  if (sum > 0 && sum % 10 === 0) return null
  return 'The check digit of this routing number (ABA) does not match the other digits. Check the number for a typing error.'
}
