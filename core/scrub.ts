import { passesLuhn } from './money/card.ts'

const HIDDEN = '[hidden]'
const DEPTH_MAX = 5

/** Fields with these names are always hidden. Our own log lines have no such field. */
const secretNames =
  /secret|password|passwd|authorization|cookie|token|signature|(api|encryption).?key|^(number|card|cvc|cvv|pan|vpa|body|params|parameters|detail)$/i

/** UUIDs and our own ids stay as they are, although their digits could pass for a card number. */
const ids =
  /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[a-z]{2,5}_(?:[0-9a-z]{26}|[0-9a-f]{32})\b/
/** A card number is one run of digits, or has the groups that are embossed on a card. */
const cardLike =
  /(?<!\d)(?:\d{12,19}|\d{4}(?:[ -]\d{4}){2,3}(?:[ -]\d{1,3})?|\d{4}[ -]\d{6}[ -]\d{4,5})(?!\d)/
const idsOrCards = new RegExp(`${ids.source}|${cardLike.source}`, 'g')

/** These patterns match the secrets of endpoints, API keys, HTTP headers and users in URLs. */
const whsec = /whsec_[\w+/=-]+/g
const apiSecret = /\bsecret_(?!key_required\b)[\w-]{6,}/g
const bearer = /\b(Bearer|Basic) +[^\s"',]+/gi
const urlPassword = /(\/\/[^\s:/@]*):[^\s/"]*@/g

/** Matches UPI and mail addresses, plain or in a URL. A masked address has `*` before its `@`. */
const vpaLike = /(?<![\w.-])[\w.-]{1,255}(?:@|%40)[A-Za-z][A-Za-z0-9.-]{1,63}/g

/** These characters could end a line and start a forged line, or control a terminal. */
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/**
 * `scrub` is the last safety net of our logs. Callers pass no secrets, but the error text of a
 * provider or a database can contain one, which `scrub` hides. The result is one line.
 */
export function scrub(text: string): string {
  return withoutSecrets(text).replace(invisible, escaped)
}

/** A stack keeps its lines. */
export function scrubStack(text: string): string {
  return withoutSecrets(text).replace(invisible, (found) =>
    found === '\n' ? found : escaped(found),
  )
}

function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`
}

function withoutSecrets(text: string): string {
  return text
    .replace(whsec, `whsec_${HIDDEN}`)
    .replace(apiSecret, `secret_${HIDDEN}`)
    .replace(bearer, `$1 ${HIDDEN}`)
    .replace(urlPassword, `$1:${HIDDEN}@`)
    .replace(idsOrCards, (found) => (passesLuhn(found.replace(/[ -]/g, '')) ? '[card]' : found))
    .replace(vpaLike, '[vpa]')
}

/** Scrubs every text in a value for the log, and hides each field with a secret's name. */
export function scrubbed(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return scrub(value)
  if (typeof value === 'number' || typeof value === 'bigint') {
    return scrub(`${value}`) === `${value}` ? value : scrub(`${value}`)
  }
  if (typeof value !== 'object' || value === null) return value
  if (depth === DEPTH_MAX) return '[…]'
  if (Array.isArray(value)) return value.map((item) => scrubbed(item, depth + 1))
  if (value instanceof Date) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      secretNames.test(name) ? HIDDEN : scrubbed(item, depth + 1),
    ]),
  )
}
