const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const SHORT_DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
const LONG_DAY = '(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)'
const MONTH = `(?<month>${MONTHS.join('|')})`
const TIME = '(?<hour>[01]\\d|2[0-3]):(?<minute>[0-5]\\d):(?<second>[0-5]\\d|60)' // 60 is a leap second

/** RFC 9110, section 5.6.7, allows these forms. Names are case-sensitive, spaces are exact. */
const FORMS = [
  `${SHORT_DAY}, (?<day>\\d{2}) ${MONTH} (?<year>\\d{4}) ${TIME} GMT`, // IMF-fixdate
  `${LONG_DAY}, (?<day>\\d{2})-${MONTH}-(?<year>\\d{2}) ${TIME} GMT`, // RFC 850
  `${SHORT_DAY} ${MONTH} (?<day>\\d{2}| \\d) ${TIME} (?<year>\\d{4})`, // asctime, which is UTC
].map((form) => new RegExp(`^${form}$`))

const FAR_YEARS = 50

/**
 * Returns the milliseconds since 1970 of an HTTP date, or null if the text is no HTTP date. The
 * name of the day may disagree with the date, because RFC 9110 encourages recipients to be robust.
 * `now` decides the century of a year that has two digits only.
 */
export function parseHttpDate(text: string, now: number): number | null {
  const parts = FORMS.map((form) => form.exec(text)?.groups).find(Boolean)
  if (!parts) return null
  const { year = '', month = '', day, hour, minute, second } = parts
  const at = (fullYear: number) =>
    utc(fullYear, MONTHS.indexOf(month), Number(day), Number(hour), Number(minute), Number(second))
  return year.length === 4 ? at(Number(year)) : latestWithinReach(Number(year), at, now)
}

/** RFC 9110 reads a date more than 50 years ahead as the latest past year with these two digits. */
function latestWithinReach(
  twoDigits: number,
  at: (year: number) => number | null,
  now: number,
): number | null {
  const limit = new Date(now)
  const thisYear = limit.getUTCFullYear()
  limit.setUTCFullYear(thisYear + FAR_YEARS)
  const century = thisYear - (thisYear % 100)
  const years = [century + 100, century, century - 100].map((start) => start + twoDigits)
  const instants = years.map(at).filter((ms) => ms !== null)
  return instants.find((ms) => ms <= limit.getTime()) ?? null
}

/** Returns null for a day that its month does not have. */
function utc(year: number, month: number, day: number, ...time: [number, number, number]) {
  const date = new Date(0)
  date.setUTCFullYear(year, month, day) // `Date.UTC` would move the years 0 to 99 to 1900
  if (date.getUTCMonth() !== month || date.getUTCDate() !== day) return null
  return date.setUTCHours(...time)
}
