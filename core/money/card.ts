import { cardBrands, findCardBrand } from './card-brands.ts'

/** A card as the payer typed it. A card lives in one request, and Remit never stores or logs it. */
export type Card = {
  number: string
  exp_month: number
  exp_year: number
  cvc: string
  name?: string | undefined
}

/** Remit keeps only these fields of a card. */
export type CardToken = { token: string; brand: string; last4: string }

/** Checks a card number with the Luhn formula (ISO/IEC 7812-1, annex B). */
export function passesLuhn(number: string): boolean {
  if (!/^\d{12,19}$/.test(number)) return false
  const sum = [...number].reverse().reduce((total, digit, i) => {
    const value = Number(digit) * (i % 2 === 0 ? 1 : 2)
    return total + (value > 9 ? value - 9 : value)
  }, 0)
  return sum % 10 === 0
}

/** A card is good until its month has ended everywhere on earth. */
export function isExpired({ exp_month, exp_year }: Card, now: Date): boolean {
  const HOURS_BEHIND_UTC = 12
  return Date.UTC(exp_year, exp_month, 1, HOURS_BEHIND_UTC) <= now.getTime()
}

const acceptedBrands = cardBrands.map(({ brand }) => brand).join(', ')

/** Says in sentences what is wrong with a card number without separators, or returns null. */
export function findNumberProblem(number: string): string | null {
  if (!passesLuhn(number)) return 'This is not a card number. Check the number for a typing error.'
  const found = findCardBrand(number)
  if (!found)
    return `The number belongs to no accepted brand. Use a card of one of these: ${acceptedBrands}.`
  const { brand, lengths } = found
  if (lengths.includes(number.length)) return null
  return `Card numbers of the brand ${brand} have ${listed(lengths)} digits, and this number has ${number.length}. Check the number for missing or extra digits.`
}

/** Says in sentences what is wrong with the length of a card's `cvc`, or returns null. */
export function findCvcProblem({ number, cvc }: Pick<Card, 'number' | 'cvc'>): string | null {
  const found = findCardBrand(number)
  if (!found || cvc.length === found.cvcLength) return null
  return `The cvc of a card of the brand ${found.brand} has ${found.cvcLength} digits. Check the cvc on the card.`
}

/** Writes lengths for a reader: "13, 16 or 19", and "16 to 19" if there is no gap. */
function listed(lengths: readonly number[]): string {
  const [first = 0, last = 0] = [lengths[0], lengths.at(-1)]
  if (lengths.length > 2 && last - first === lengths.length - 1) return `${first} to ${last}`
  return lengths.join(', ').replace(/, (\d+)$/, ' or $1')
}

/** Returns the brand as rows and answers name the brand; "unknown" if no brand has the number. */
export function brandOf(number: string): string {
  return findCardBrand(number)?.brand ?? 'unknown'
}
