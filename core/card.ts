/** A card as the payer typed it. It lives in one request, and is never stored or logged. */
export type Card = {
  number: string
  exp_month: number
  exp_year: number
  cvc: string
  name?: string | undefined
}

/** What we keep of it. */
export type CardToken = { token: string; brand: string; last4: string }

/** ISO/IEC 7812-1, annex B. */
export function passesLuhn(number: string): boolean {
  if (!/^\d{12,19}$/.test(number)) return false
  const sum = [...number].reverse().reduce((total, digit, i) => {
    const value = Number(digit) * (i % 2 === 0 ? 1 : 2)
    return total + (value > 9 ? value - 9 : value)
  }, 0)
  return sum % 10 === 0
}

/** A card is good until the end of its month, everywhere on earth. */
export function isExpired({ exp_month, exp_year }: Card, now: Date): boolean {
  const HOURS_BEHIND_UTC = 12
  return Date.UTC(exp_year, exp_month, 1, HOURS_BEHIND_UTC) <= now.getTime()
}

/** First digits, by the schemes' published ranges. */
const brands: [brand: string, ranges: RegExp][] = [
  ['visa', /^4/],
  ['mastercard', /^(5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/],
  ['amex', /^3[47]/],
  ['discover', /^(6011|64[4-9])/], // within RuPay's 60
  ['rupay', /^(60|65|81|82|508)/],
  ['diners', /^3(0[0-5]|[689])/],
  ['jcb', /^35(2[89]|[3-8])/],
]

export function brandOf(number: string): string {
  return brands.find(([, ranges]) => ranges.test(number))?.[0] ?? 'unknown'
}
