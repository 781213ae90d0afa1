import { minorUnitDigits } from './currencies.ts'

/** A row may hold a currency that ISO 4217 has withdrawn since. Most currencies have two digits. */
const DIGITS_OF_WITHDRAWN = 2

/** Amounts have at most twelve digits, far below what a double holds exactly, even in sums. */
export const MAX_AMOUNT = 999_999_999_999

export function isCurrency(code: string): boolean {
  return minorUnitDigits.has(code)
}

/** Formats an amount in minor units for a reader: 50000 INR becomes ₹500.00. */
export function formatMoney(amount: number, currency: string): string {
  const digits = minorUnitDigits.get(currency) ?? DIGITS_OF_WITHDRAWN
  return formatOf(currency, digits).format(amount / 10 ** digits)
}

const formats = new Map<string, Intl.NumberFormat>()

/**
 * Intl gives the symbols and the grouping, but not the number of digits: CLDR drops the minor unit
 * of currencies whose coins are out of use. `formats` keeps each format, because creating a format
 * takes longer than everything else that the start of a workflow needs.
 */
function formatOf(currency: string, digits: number): Intl.NumberFormat {
  const kept =
    formats.get(currency) ??
    new Intl.NumberFormat('en', {
      style: 'currency',
      currency,
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    })
  formats.set(currency, kept)
  return kept
}

/** Returns the platform's fee in minor units, half a unit rounded up. 100 `bps` are one percent. */
export function feeOf(amount: number, bps: number): number {
  return Math.floor((amount * bps + 5_000) / 10_000)
}
