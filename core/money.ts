/** ISO 4217, as the platform's own Intl lists it. */
const currencies = new Set(Intl.supportedValuesOf('currency'))

/** Twelve digits: far below what a double holds exactly, sums included. */
export const MAX_AMOUNT = 999_999_999_999

export function isCurrency(code: string): boolean {
  return currencies.has(code)
}

/** An amount in minor units, as a reader wants it: 50000 INR is ₹500.00. */
export function formatMoney(amount: number, currency: string): string {
  const format = formatOf(currency)
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2
  return format.format(amount / 10 ** digits)
}

const formats = new Map<string, Intl.NumberFormat>()

/** Kept, because one takes longer to make than all else that the start of a workflow needs. */
function formatOf(currency: string): Intl.NumberFormat {
  const kept = formats.get(currency) ?? new Intl.NumberFormat('en', { style: 'currency', currency })
  formats.set(currency, kept)
  return kept
}

/** The platform's fee in minor units, half a unit rounded up. `bps`: hundredths of a percent. */
export function feeOf(amount: number, bps: number): number {
  return Math.floor((amount * bps + 5_000) / 10_000)
}
