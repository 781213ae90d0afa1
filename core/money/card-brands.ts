/** A card scheme: which numbers it issues, and how long a number and its `cvc` are. */
type CardBrand = {
  brand: string
  lengths: readonly number[]
  cvcLength: 3 | 4
  ranges: readonly PrefixRange[]
}

/** The first and the last prefix of a range. Both have the same number of digits. */
type PrefixRange = readonly [from: number, to: number]

/**
 * These are the schemes' published ranges (Wikipedia, "Payment card number", lists them with their
 * sources). RuPay's ranges are NPCI's bank identification numbers, as Juspay's card validator lists
 * them.
 */
export const cardBrands: readonly CardBrand[] = [
  { brand: 'visa', lengths: [13, 16, 19], cvcLength: 3, ranges: [[4, 4]] },
  {
    brand: 'mastercard',
    lengths: [16],
    cvcLength: 3,
    ranges: [
      [51, 55],
      [2221, 2720],
    ],
  },
  {
    brand: 'amex',
    lengths: [15],
    cvcLength: 4,
    ranges: [
      [34, 34],
      [37, 37],
    ],
  },
  {
    brand: 'discover',
    lengths: [16, 17, 18, 19],
    cvcLength: 3,
    ranges: [
      [65, 65],
      [644, 649],
      [6011, 6011],
      [622126, 622925], // shared with UnionPay
    ],
  },
  {
    brand: 'diners',
    lengths: [14, 15, 16, 17, 18, 19],
    cvcLength: 3,
    ranges: [
      [36, 36],
      [38, 39],
      [300, 305],
      [3095, 3095],
    ],
  },
  { brand: 'jcb', lengths: [16, 17, 18, 19], cvcLength: 3, ranges: [[3528, 3589]] },
  {
    brand: 'unionpay',
    lengths: [16, 17, 18, 19],
    cvcLength: 3,
    ranges: [
      [62, 62],
      [810000, 817199],
    ],
  },
  {
    brand: 'rupay',
    lengths: [16],
    cvcLength: 3,
    ranges: [
      [508500, 508999],
      [606985, 607984],
      [608001, 608500],
      [652150, 653149], // within Discover's 65
      [817200, 820199],
    ],
  },
  {
    brand: 'maestro',
    lengths: [12, 13, 14, 15, 16, 17, 18, 19],
    cvcLength: 3,
    ranges: [
      [56, 58],
      [5018, 5018],
      [5020, 5020],
      [5038, 5038],
      [6304, 6304],
      [6759, 6759],
      [676770, 676770],
      [676774, 676774],
      [6761, 6763],
    ],
  },
]

const digitsOf = ([from]: PrefixRange) => String(from).length

/** The longest prefixes come first, so that the narrower of two overlapping ranges is found. */
const rangesByPrecision = cardBrands
  .flatMap((brand) => brand.ranges.map((range) => ({ brand, range, digits: digitsOf(range) })))
  .sort((a, b) => b.digits - a.digits)

/** Returns the brand of a card number, or null if the number is in no brand's ranges. */
export function findCardBrand(number: string): CardBrand | null {
  const found = rangesByPrecision.find(({ range: [from, to], digits }) => {
    const prefix = Number(number.slice(0, digits))
    return prefix >= from && prefix <= to
  })
  return found?.brand ?? null
}
